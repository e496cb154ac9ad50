"""Compiles Verilog and the harness into a simulator program, once for each design and options."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cocotb
import cocotb_tools.config

from hiddenite.golden.errors import InputError
from hiddenite.sim import toolchain

SIMULATORS = ("verilator", "icarus")
TOP = "harness"

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
    waves : bool
        Whether it can write waveforms.
    """

    directory: Path
    simulator: str
    word_bits: int
    lanes: int
    waves: bool


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
    waves: bool = False,
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
    waves : bool
        Whether the simulator can write waveforms; costs time even while it writes none.
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
    parameters = {"W": word_bits, "L": lanes}
    harness = resources.files(__package__).joinpath("harness.v").read_text()
    if simulator == "verilator":
        tools = [toolchain.verilator(), toolchain.compiler()]
        options = [*_VERILATOR_OPTIONS, *(["--trace-fst"] if waves else [])]
        options += ["--public-flat-rw"] if public else []
    else:
        tools = [toolchain.icarus()]
        options = ["-g2012", *(["waves"] if waves else [])]
    key = {
        "verilog": verilog,
        "harness": harness,
        "parameters": parameters,
        "simulator": simulator,
        "options": [*options, *_MAKE_VARIABLES],
        # The folder of cocotb's libraries is linked into the program.
        "tools": [[*(tool.version for tool in tools), cocotb.__version__]],
        "libraries": str(cocotb_tools.config.libs_dir),
    }
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    final = cache_directory() / f"{simulator}-{name}"
    result = Build(final, simulator, word_bits, lanes, waves)
    if final.is_dir():
        return result

    final.parent.mkdir(parents=True, exist_ok=True)
    # Made beside its final place, so that the renaming at the end cannot leave half of it there.
    with tempfile.TemporaryDirectory(dir=final.parent, prefix="building-") as temporary:
        work = Path(temporary)
        (work / "design.v").write_text(verilog)
        (work / "harness.v").write_text(harness)
        finished = work / "finished"
        finished.mkdir()
        if simulator == "verilator":
            _verilate(work, finished, options, parameters, waves)
        else:
            _elaborate(work, finished, parameters, waves)
        try:
            finished.rename(final)
        except OSError:
            # Another process was quicker with the same build.
            if not final.is_dir():
                raise
    return result


def _verilate(
    work: Path, finished: Path, options: Sequence[str], parameters: dict[str, int], waves: bool
) -> None:
    libraries = cocotb_tools.config.libs_dir
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    # cocotb's own runner always adds --public-flat-rw; hence this command and not the runner.
    command = [str(toolchain.verilator().path), "--cc", "--exe", "--vpi", "-Mdir", "objects",
               "--top-module", TOP, "--prefix", "Vtop", "-o", TOP, "--timescale", "1ns/1ns",
               "-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator",
               *options, *(f"-G{name}={value}" for name, value in parameters.items()),
               str(main), "harness.v", "design.v"]  # fmt: skip
    _execute(command, work)
    _execute(["make", "-j", str(_JOBS), "-C", "objects", "-f", "Vtop.mk",
              f"VM_TRACE={int(waves)}", *_MAKE_VARIABLES], work)  # fmt: skip
    # The objects are many times the size of the program.
    shutil.move(work / "objects" / TOP, finished / TOP)


def _elaborate(work: Path, finished: Path, parameters: dict[str, int], waves: bool) -> None:
    command = ["iverilog", "-g2012", "-s", TOP, "-o", str(finished / "sim.vvp")]
    command += [f"-P{TOP}.{name}={value}" for name, value in parameters.items()]
    sources = ["harness.v", "design.v"]
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
