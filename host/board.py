"""Runs networks on a board."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hiddenite.compiler.compile import compile_network
from hiddenite.compiler.estimate import estimate
from hiddenite.compiler.program import Program
from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import check_images
from hiddenite.golden.network import Network
from hiddenite.link.protocol import DEFAULT_BAUD, Info, Sources
from hiddenite.rtl.configuration import PRESETS, Configuration

from .connection import BoardError, Connection
from .session import Session, SessionError
from .transport import SerialPort, Transport

__all__ = ["DEFAULT_LIMIT", "Board", "BoardError", "Traffic"]

DEFAULT_LIMIT = 5.0
"""Seconds without progress after which a board is given up."""

_MARGIN = 0.1
_ATTEMPTS = 4
_VALUE_BYTES = 4
# How much longer than estimated an engine may compute.
_SLACK = 2


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What the last run took.

    Attributes
    ----------
    images : int
    seconds : float
        From the first session's begin to the last result.
    bytes_sent, bytes_received : int
        On the line, frames and escapes included.
    bytes_resent : int
        Bytes of programs and images that were given up as lost and sent again.
    sessions : int
        1, and one for each time that the engine had to begin anew.
    """

    images: int
    seconds: float
    bytes_sent: int
    bytes_received: int
    bytes_resent: int
    sessions: int


class Board:
    """A board with an engine, at a serial port.

    Parameters
    ----------
    port : str or Transport
        Name of a serial port, or a line that is already there.
    baud : int
        Bits a second, for a port that is named.
    configuration : Configuration, optional
        Of the board's engine; the default is the preset whose fingerprint the board tells.
    limit : float
        Seconds without progress after which a run ends with an error. What the engine may need
        to compute an image comes on top.

    Attributes
    ----------
    info : Info
        What the board says of itself: its name, clock, buffers, the engine's fingerprint.
    configuration : Configuration
        Of the board's engine.
    traffic : Traffic or None
        Of the last run that has ended well.

    Raises
    ------
    InputError
        The port cannot be used, nothing or no board answers, or its engine is another one.

    Examples
    --------
    >>> with Board("/dev/ttyUSB0") as board:
    ...     result = board.run(network, images)
    """

    def __init__(
        self,
        port: str | Transport,
        *,
        baud: int = DEFAULT_BAUD,
        configuration: Configuration | None = None,
        limit: float = DEFAULT_LIMIT,
    ) -> None:
        if not limit > 0:
            raise InputError(f"limit must be more than 0 seconds, not {limit!r}")
        transport = SerialPort(port, baud) if isinstance(port, str) else port
        self.traffic: Traffic | None = None
        self._transport = transport
        self._limit = limit
        try:
            self._connection = Connection(transport, limit, min(_MARGIN, limit / 4))
            self.info = self._connection.hello()
            self.configuration = _configuration(transport.name, self.info, configuration)
        except BaseException:
            transport.close()
            raise

    def __enter__(self) -> "Board":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the port."""
        self._transport.close()

    def run(
        self,
        network: Network,
        images: np.ndarray,
        *,
        batch: int = 1,
        from_memory: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """Run a network.

        Parameters
        ----------
        network : Network
            The network.
        images : uint8 or int8 array, (N, H, W, C)
            Images of the shape of its input.
        batch : int
            Images that the program is sent for at once; the last batch is filled up.
        from_memory : bool
            Whether the program is not sent but comes from the board's own memory. The board says
            nothing of what program that is: it must be this network's.
        progress : callable, optional
            Called after each batch with the number of images done so far.

        Returns
        -------
        uint8, int8 or int32 array, (N, OH, OW, O)
            The last layer's output, bit for bit that of `hiddenite.golden.inference.infer`.

        Raises
        ------
        InputError
            The images do not fit the network, or the network not the engine, or the board has no
            program of its own.
        BoardError
            The board is gone or silent, makes no progress, or its engine stops with an error again
            and again.
        """
        check_images(network, images)
        program = compile_network(network, self.configuration, batch=batch)
        return self.run_program(program, images, from_memory=from_memory, progress=progress)

    def run_program(
        self,
        program: Program,
        images: np.ndarray,
        *,
        from_memory: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """Run a network that is already compiled, for the board's configuration.

        Parameters, results and errors are those of `run`; the batch is the program's.
        """
        name = self._transport.name
        if program.configuration.fingerprint != self.configuration.fingerprint:
            raise InputError(
                f"{name}: the program is for an engine with fingerprint"
                f" 0x{program.configuration.fingerprint:08x}, not"
                f" 0x{self.configuration.fingerprint:08x}"
            )
        if from_memory and not self.info.sources & Sources.PROGRAM:
            raise InputError(f"{name}: the board has no program of its own")
        beats = [program.image_beats(own).tobytes() for own in program.batches(images)]
        order = program.result_order()
        shape = len(beats), program.batch, *program.result_shape
        results = np.zeros(shape, np.dtype(program.result_type))
        done = 0

        def finished(data: bytes) -> None:
            nonlocal done
            results[done] = program.results(np.frombuffer(data, "<i4").reshape(order.shape))
            done += 1
            if progress is not None:
                progress(min(done * program.batch, len(images)))

        connection = self._connection
        begin = self._transport.clock()
        before = connection.bytes_sent, connection.bytes_received
        computing = _SLACK * estimate(program).cycles / max(1, self.info.clock_hz)
        sessions = attempts = resent = 0
        while done < len(beats):
            first = done
            session = Session(
                connection,
                self.info,
                None if from_memory else program.bytes,
                beats[first:],
                order.size * _VALUE_BYTES,
                self._limit + computing,
                finished,
            )
            sessions += 1
            try:
                session.run()
            except SessionError as error:
                # What goes wrong behind the last result makes that one doubtful.
                done = min(done, len(beats) - 1)
                attempts = 1 if done > first else attempts + 1
                if attempts >= _ATTEMPTS:
                    raise connection.error(
                        f"image {done * program.batch} failed {attempts} times: {error}"
                    ) from None
            finally:
                resent += session.resent
        self.traffic = Traffic(
            images=len(images),
            seconds=self._transport.clock() - begin,
            bytes_sent=connection.bytes_sent - before[0],
            bytes_received=connection.bytes_received - before[1],
            bytes_resent=resent,
            sessions=sessions,
        )
        return results.reshape(-1, *program.result_shape)[: len(images)]


def _configuration(name: str, info: Info, given: Configuration | None) -> Configuration:
    """Find the configuration of a board's engine."""
    found = [c for c in PRESETS.values() if c.fingerprint == info.fingerprint]
    if given is not None:
        found = [given] if given.fingerprint == info.fingerprint else []
        if not found:
            raise InputError(
                f"{name}: the board's engine has fingerprint 0x{info.fingerprint:08x}, that of the"
                f" configuration given is 0x{given.fingerprint:08x}"
            )
    elif not found:
        raise InputError(
            f"{name}: the board's engine has fingerprint 0x{info.fingerprint:08x}, which is that of"
            " no preset: give its configuration"
        )
    c = found[0]
    words = (info.program_bytes, info.post_lanes)
    if words != (c.program_bits // 8, c.post_lanes) or (
        info.program_buffer < info.program_bytes or info.image_buffer < info.post_lanes
    ):
        raise InputError(f"{name}: the board describes itself inconsistently: {info}")
    return c
