"""Compiles Verilog into simulators, once for each design and options."""

import shutil
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import cocotb_tools.config

from hiddenite.sim import toolchain
from hiddenite.sim.cache import entry, new_entry

__all__ = ["SIMULATORS", "TOP", "compile_simulator"]

SIMULATORS = ("verilator", "icarus")
TOP = "harness"
"""Name of the top module."""

# Lint is a check of its own; here a warning would only hide what matters. What has no initial value
# gets one when the program starts (see `hiddenite.sim.launchers`).
_VERILATOR_OPTIONS = (
    "-O3", "--x-assign", "fast", "--x-initial", "unique", "--no-assert", "--timing",
    "-Wno-fatal", "-Wno-lint", "-Wno-style", "--quiet",
)  # fmt: skip
# The package's makefile leaves these empty, whatever the machine offers. At -O2 a design takes a
# third longer to compile and a seventh less to simulate: the same after some ten million cycles.
_MAKE_VARIABLES = (
    "CFG_CXXFLAGS_STD=-std=c++20",
    "CFG_CXXFLAGS_COROUTINES=-fcoroutines",
    "CFG_LDLIBS_THREADS=-pthread",
    "OPT_FAST=-O1",
    "OPT_SLOW=-O0",
    "OPT_GLOBAL=-O2",
)
_LIBRARIES = cocotb_tools.config.libs_dir
_JOBS = 2
_UNIT_BYTES = 2_000_000
"""A unit of C++ is as long as this, or longer by one of Verilator's files."""
_LOG_TAIL = 30


def compile_simulator(
    sources: dict[str, str],
    parameters: dict[str, int],
    *,
    simulator: str,
    waves: str | None = None,
    public: bool = False,
) -> Path:
    """Compile a design with its harness, or take it from the cache.

    Parameters
    ----------
    sources : dict of str to str
        Verilog texts by file name; one has the module `TOP`.
    parameters : dict of str to int
        Of the module `TOP`.
    simulator : str
        One of `SIMULATORS`.
    waves : str or None
        Format of the waveforms that the simulator can write, "fst" or "vcd".
    public : bool
        Whether cocotb sees every signal of the design in Verilator.

    Returns
    -------
    Path
        Folder of the finished program.

    Raises
    ------
    InputError
        If a program is missing.
    RuntimeError
        If the design does not compile; the message ends with the last lines of the log.
    """
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
    versions = [*(tool.version for tool in tools), metadata.version("cocotb"), str(_LIBRARIES)]
    final = entry(simulator, sources, parameters, options, _MAKE_VARIABLES, versions)
    if final.is_dir():
        return final
    with new_entry(final) as (work, finished):
        for name, text in sources.items():
            (work / name).write_text(text)
        if simulator == "verilator":
            library = entry("library", waves, _MAKE_VARIABLES, versions)
            _verilate(work, finished, list(sources), options, parameters, library)
        else:
            _elaborate(work, finished, list(sources), parameters, waves)
    return final


def _verilate(
    work: Path,
    finished: Path,
    sources: list[str],
    options: Sequence[str],
    parameters: dict[str, int],
    library: Path,
) -> None:
    # cocotb's own runner always adds --public-flat-rw; hence this command and not the runner.
    command = [str(toolchain.verilator().path), "--cc", "--exe", "--vpi", "-Mdir", "objects",
               "--top-module", TOP, "--prefix", "Vtop", "-o", TOP, "--timescale", "1ns/1ns",
               "-LDFLAGS", f"-Wl,-rpath,{_LIBRARIES} -L{_LIBRARIES} -lcocotbvpi_verilator",
               *options, *(f"-G{name}={value}" for name, value in parameters.items()),
               *sources]  # fmt: skip
    _execute(command, work)
    objects = work / "objects"
    # Verilator's own library takes most of the time of a small design and is always the same.
    for ready in library.glob("*.o"):
        shutil.copy(ready, objects)
    variables = *_MAKE_VARIABLES, *_units(objects)
    _execute(["make", "-j", str(_JOBS), "-C", "objects", "-f", "Vtop.mk", *variables], work)
    # The objects of the design are many times the size of the program.
    shutil.move(objects / TOP, finished / TOP)
    if not library.is_dir():
        with new_entry(library) as (_, kept):
            for built in objects.glob("verilated*.o"):
                shutil.copy(built, kept)


def _units(objects: Path) -> list[str]:
    """Gather Verilator's C++ files into few units; return the variables that make needs for them.

    Verilator writes many files, whatever their size, and precompiles their header twice. Compiling
    that header takes longer than a small design; reading it as text, once for each unit, does not.
    """
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    written = sorted(objects.glob("Vtop*.cpp"))
    slow = [path for path in written if path.stem.endswith("__Slow")]
    fast = [main, *(path for path in written if path not in slow)]
    variables = ["VM_SUPPORT_FAST=", "VM_SUPPORT_SLOW=", "VK_PCH_I_FAST=", "VK_PCH_I_SLOW="]
    for kind, paths in ("fast", fast), ("slow", slow):
        units: list[list[Path]] = []
        size = _UNIT_BYTES
        for path in paths:
            if size >= _UNIT_BYTES:
                units.append([])
                size = 0
            units[-1].append(path)
            size += path.stat().st_size
        names = [f"{kind}_{number}" for number in range(len(units))]
        for name, unit in zip(names, units, strict=True):
            text = "".join(f'#include "{path}"\n' for path in unit)
            (objects / f"{name}.cpp").write_text(text)
        variables.append(f"VM_CLASSES_{kind.upper()}={' '.join(names)}")
        # Stands for the precompiled header, which make would otherwise make.
        (objects / f"Vtop__pch.h.{kind}.gch").touch()
    return variables


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
    result = subprocess.run(
        command,
        cwd=directory,
        env=toolchain.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode:
        tail = "\n".join(result.stdout.splitlines()[-_LOG_TAIL:])
        raise RuntimeError(f"{Path(command[0]).name} failed:\n{tail}")
