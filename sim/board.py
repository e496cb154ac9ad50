"""A simulated board behind a serial port: bytes in, bytes out, in simulated time."""

import contextlib
import tempfile
import threading
from importlib import resources
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any

from hiddenite.link.board_link import BoardLink, LinkParameters
from hiddenite.link.uart import baud_divisor
from hiddenite.rtl.verilog import convert, generate
from hiddenite.sim.between import BOARD_TESTBENCH, SOCKET_VARIABLE
from hiddenite.sim.compilers import compile_simulator
from hiddenite.sim.launchers import failure, launch

__all__ = ["SimulatedBoard"]

_BURST = 512
_START_SECONDS = 60
_WAKE_UP_SECONDS = 3e-6
"""The longest time in the data sheets of those flashes that wake up at all."""


class SimulatedBoard(contextlib.AbstractContextManager):
    """A board with an engine, its link, and what is in its flash.

    Time goes on only within `read` and `advance`. It is used as a context manager.

    Parameters
    ----------
    parameters : LinkParameters
    flash : bytes
        What is in the flash from address 0 on, if the board has one.
    simulator : str
        "verilator" or "icarus".
    chip_lines : int or None
        On which the chip at the board gives data; None: as many as the board reads.

    Attributes
    ----------
    cycle : int
        Clock cycles so far.
    running, error : bool
        The LEDs.
    number : int
        Class shown in standalone mode.
    """

    def __init__(
        self,
        parameters: LinkParameters,
        flash: bytes = b"",
        simulator: str = "verilator",
        chip_lines: int | None = None,
    ) -> None:
        self.parameters, self._simulator = parameters, simulator
        self._chip_lines = chip_lines or parameters.flash_lines
        self._flash = flash or b"\xff"
        self.cycle, self.running, self.error, self.number = 0, False, False, 0
        self._to_send, self._received, self._sending = b"", b"", False
        self.gap = 0
        """Idle cycles after each byte that is sent."""

    def __enter__(self) -> "SimulatedBoard":
        directory = _build(self.parameters, len(self._flash), self._chip_lines, self._simulator)
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hiddenite-")))
            (work / "flash.bin").write_bytes(self._flash)
            listener = stack.enter_context(Listener(str(work / "socket"), "AF_UNIX"))
            # Listeners have no time limit of their own; that of the socket within them serves.
            inner: Any = listener
            inner._listener._socket.settimeout(_START_SECONDS)
            self._log = work / "log.txt"
            thread = threading.Thread(target=self._simulate, args=(directory, work))
            thread.start()
            stack.callback(thread.join)
            try:
                self._requests = stack.enter_context(listener.accept())
            except TimeoutError:
                raise failure("the simulated board did not start", self._log) from None
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

    def _simulate(self, directory: Path, work: Path) -> None:
        # What has gone wrong shows as silence; the log then says why.
        with contextlib.suppress(RuntimeError):
            launch(
                self._simulator,
                directory,
                work,
                self._log,
                testbench=BOARD_TESTBENCH,
                variables={SOCKET_VARIABLE: str(work / "socket")},
            )

    def write(self, data: bytes) -> int:
        """Send bytes, one after another from now on; returns at once, with their number."""
        self._to_send += bytes(data)
        return len(data)

    def read(self, size: int = 1, seconds: float = 0.1) -> bytes:
        """Bytes from the board: as many as asked for, or those that come in this simulated time."""
        end = self.cycle + max(1, round(seconds * self.parameters.clock_hz))
        while len(self._received) < size and self.cycle < end:
            self._run(end, size - len(self._received))
        out, self._received = self._received[:size], self._received[size:]
        return out

    def advance(self, cycles: int) -> None:
        """Let so many cycles pass; what comes from the board is there for the next `read`."""
        end = self.cycle + cycles
        while self.cycle < end:
            self._run(end, _BURST)

    def _run(self, end: int, enough: int) -> None:
        burst = b""
        if self._to_send and not self._sending:
            burst, self._to_send = self._to_send[:_BURST], self._to_send[_BURST:]
        if self._to_send:
            # Only a part fits: it must be known when that has been sent.
            bits = 10 * baud_divisor(self.parameters.clock_hz, self.parameters.baud)
            end = min(end, self.cycle + (len(burst) or 1) * (bits + self.gap))
        try:
            self._requests.send((burst, self.gap, end, min(enough, _BURST)))
            received, self.cycle, self._sending, leds, self.number = self._requests.recv()
        except (EOFError, OSError):
            raise failure("the simulated board has stopped", self._log) from None
        self._received += received
        self.running, self.error = bool(leds & 1), bool(leds & 2)


def _build(parameters: LinkParameters, flash_bytes: int, chip_lines: int, simulator: str) -> Path:
    """Compile a board, or take it from the cache."""
    c = parameters.configuration
    verilog = generate(c) + "\n" + convert(BoardLink(parameters), "board_link")
    defines = "`define FLASH\n" * (parameters.flash_base is not None)
    defines += "`define STANDALONE\n" * parameters.standalone
    here = resources.files(__package__)
    harness = defines + here.joinpath("board.v").read_text()
    values = {
        "W": c.program_bits,
        "L": c.post_lanes,
        "DIVISOR": baud_divisor(parameters.clock_hz, parameters.baud),
        "BURST": _BURST,
        "FLASH_BYTES": flash_bytes,
        "FLASH_LINES": chip_lines,
        "WAKE_CYCLES": int(parameters.clock_hz * _WAKE_UP_SECONDS),
    }
    sources = {
        "harness.v": harness,
        "flash.v": here.joinpath("flash.v").read_text(),
        "design.v": verilog,
    }
    return compile_simulator(sources, values, simulator=simulator)
