"""Compiles an engine and its harness into a simulator program."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from hiddenite.sim.compilers import SIMULATORS, compile_simulator

__all__ = ["Build", "build"]


@dataclass(frozen=True)
class Build:
    """A compiled simulator.

    Parameters
    ----------
    directory : Path
        Where it lies in the cache.
    simulator : str
        "verilator" or "icarus".
    word_bits : int
        Bits of a program word.
    lanes : int
        Lanes of the image and result streams.
    waves : str or None
        Format of the waveforms that it can write: "fst" or "vcd".
    """

    directory: Path
    simulator: str
    word_bits: int
    lanes: int
    waves: str | None


def build(
    verilog: str,
    *,
    simulator: str = "verilator",
    word_bits: int,
    lanes: int,
    waves: str | None = None,
    public: bool = False,
) -> Build:
    """Compile a design, or take it from the cache.

    Parameters
    ----------
    verilog : str
        Verilog text with the top module `hiddenite`.
    simulator : str
        "verilator" or "icarus".
    word_bits : int
        Bits of a program word: 8, 16, 32 or 64.
    lanes : int
        Lanes of the image and result streams: a power of two from 1 to 32.
    waves : str or None
        Format of the waveforms that the simulator can write, "fst" or "vcd"; either costs time even
        while none are written. Verilator needs the headers of lz4 and zlib for FST.
    public : bool
        Whether cocotb sees every signal of the design and not just the harness's ports; makes
        Verilator several times slower. Icarus shows all signals in any case.

    Returns
    -------
    Build
        The finished build.

    Raises
    ------
    InputError
        If a program is missing.
    ValueError
        If an argument is none of those allowed.
    RuntimeError
        If the design does not compile; the message ends with the last lines of the log.
    """
    if simulator not in SIMULATORS:
        raise ValueError(f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    if word_bits not in (8, 16, 32, 64):
        raise ValueError(f"word bits must be 8, 16, 32 or 64, not {word_bits!r}")
    if lanes not in (1, 2, 4, 8, 16, 32):
        raise ValueError(f"lanes must be a power of two from 1 to 32, not {lanes!r}")
    if waves not in (None, "fst", "vcd"):
        raise ValueError(f"waves must be None, 'fst' or 'vcd', not {waves!r}")
    parameters = {"W": word_bits, "L": lanes}
    harness = resources.files(__package__).joinpath("harness.v").read_text()
    sources = {"harness.v": harness, "design.v": verilog}
    directory = compile_simulator(
        sources, parameters, simulator=simulator, waves=waves, public=public
    )
    return Build(directory, simulator, word_bits, lanes, waves)
