"""Compiles Verilog and the harness into a simulator program, once for each design and options."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cocotb
import cocotb_tools.config

from hiddenite.golden.errors import InputError
from hiddenite.rtl.verilog import SIMULATION
from hiddenite.sim import toolchain

SIMULATORS = ("verilator", "icarus")
TOP = "harness"
DEFINITION = f"`define {SIMULATION}\n"
"""First line of the first source."""

# Lint is a check of its own; here a warning would only hide what matters.
_VERILATOR_OPTIONS = (
    "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "--timing",
    "-Wno-fatal", "-Wno-lint", "-Wno-style", "--quiet",
)  # fmt: skip
# The package's makefile leaves these empty, whatever the machine offers. Without the first, no
# header is precompiled.
_MAKE_VARIABLES = (
    "CFG_CXXFLAGS_PCH_I=-include",
    "CFG_CXXFLAGS_STD=-std=c++20",
    "CFG_CXXFLAGS_COROUTINES=-fcoroutines",
    "CFG_LDLIBS_THREADS=-pthread",
    "OPT_FAST=-O2",
    "OPT_SLOW=-O0",
    "OPT_GLOBAL=-O2",
)
_LIBRARIES = cocotb_tools.config.libs_dir
_JOBS = 2
_LOG_TAIL = 30


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


def cache_directory() -> Path:
    """Return the folder for builds: HIDDENITE_CACHE, or `hiddenite` in the user's cache folder.

    Nothing in it is removed by this program; the whole folder may be deleted at any time.
    """
    if own := os.environ.get("HIDDENITE_CACHE"):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hiddenite"


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
        Verilog text with the top module `hiddenite`; the macro `SIMULATION` is defined for it.
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
    sources = {"harness.v": f"{DEFINITION}{harness}", "design.v": verilog}
    if simulator == "verilator":
        tools = [toolchain.verilator(), toolchain.compiler()]
        if waves == "fst":
            toolchain.require_headers("lz4.h", "zlib.h")
        options = [*_VERILATOR_OPTIONS, *([f"--trace-{waves}"] if waves else [])]
        options += ["--public-flat-rw"] if public else []
    else:
        tools = [toolchain.icarus()]
        options = ["waves"] if waves else []
    # The folder of cocotb's libraries is linked into the program.
    tools = [*(tool.version for tool in tools), cocotb.__version__, str(_LIBRARIES)]
    final = _cached(simulator, sources, parameters, options, _MAKE_VARIABLES, tools)
    result = Build(final, simulator, word_bits, lanes, waves)
    if final.is_dir():
        return result

    with _new_entry(final) as (work, finished):
        for name, text in sources.items():
            (work / name).write_text(text)
        if simulator == "verilator":
            _verilate(
                work,
                finished,
                list(sources),
                options,
                parameters,
                _cached("library", waves, _MAKE_VARIABLES, tools),
            )
        else:
            _elaborate(work, finished, list(sources), parameters, waves)
    return result


def _cached(kind: str, *key: object) -> Path:
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    return cache_directory() / f"{kind}-{name}"


@contextlib.contextmanager
def _new_entry(final: Path) -> Iterator[tuple[Path, Path]]:
    """Give a folder to work in and one that becomes `final` if all goes well."""
    final.parent.mkdir(parents=True, exist_ok=True)
    # Made beside its final place, so that the renaming at the end cannot leave half of it there.
    with tempfile.TemporaryDirectory(dir=final.parent, prefix="building-") as temporary:
        finished = Path(temporary) / "finished"
        finished.mkdir()
        yield Path(temporary), finished
        try:
            finished.rename(final)
        except OSError:
            # Another process was quicker with the same contents.
            if not final.is_dir():
                raise


def _verilate(
    work: Path,
    finished: Path,
    sources: list[str],
    options: Sequence[str],
    parameters: dict[str, int],
    library: Path,
) -> None:
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    # cocotb's own runner always adds --public-flat-rw; hence this command and not the runner.
    command = [str(toolchain.verilator().path), "--cc", "--exe", "--vpi", "-Mdir", "objects",
               "--top-module", TOP, "--prefix", "Vtop", "-o", TOP, "--timescale", "1ns/1ns",
               "-LDFLAGS", f"-Wl,-rpath,{_LIBRARIES} -L{_LIBRARIES} -lcocotbvpi_verilator",
               *options, *(f"-G{name}={value}" for name, value in parameters.items()),
               str(main), *sources]  # fmt: skip
    _execute(command, work)
    objects = work / "objects"
    # Verilator's own library takes most of the time of a small design and is always the same.
    for ready in library.glob("*.o"):
        shutil.copy(ready, objects)
    _execute(["make", "-j", str(_JOBS), "-C", "objects", "-f", "Vtop.mk", *_MAKE_VARIABLES], work)
    # The objects of the design are many times the size of the program.
    shutil.move(objects / TOP, finished / TOP)
    if not library.is_dir():
        with _new_entry(library) as (_, kept):
            for built in objects.glob("verilated*.o"):
                shutil.copy(built, kept)


def _elaborate(
    work: Path, finished: Path, sources: list[str], parameters: dict[str, int], waves: str | None
) -> None:
    command = ["iverilog", "-g2012", "-s", TOP, "-o", str(finished / "sim.vvp")]
    command += [f"-P{TOP}.{name}={value}" for name, value in parameters.items()]
    if waves:
        (work / "waves.v").write_text(_WAVES)
        command += ["-s", "waves"]
        sources.append("waves.v")
    _execute(command + sources, work)


# A file name from the command line, as Verilator's program takes it too.
_WAVES = f"""module waves;
    reg [8*4096-1:0] path;
    initial if ($value$plusargs("dumpfile_path=%s", path)) begin
        $dumpfile(path);
        $dumpvars(0, {TOP});
    end
endmodule
"""


def _execute(command: Sequence[str], directory: Path) -> None:
    try:
        environment = toolchain.environment()
    except InputError:
        environment = None  # Icarus needs nothing of Verilator's.
    result = subprocess.run(
        command,
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode:
        tail = "\n".join(result.stdout.splitlines()[-_LOG_TAIL:])
        raise RuntimeError(f"{Path(command[0]).name} failed:\n{tail}")
