from dataclasses import replace
from pathlib import Path

import pytest

from hiddenite.boards import project as module
from hiddenite.boards.boards import BOARDS
from hiddenite.boards.project import Project, load_platform
from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import PRESETS

OWN = Path(__file__).with_name("own_board.py")


def test_platform_in_a_file():
    platform = load_platform(f"{OWN}:OwnBoardPlatform")
    assert platform.__name__ == "OwnBoardPlatform" and platform.package == "CT256"


def test_platform_in_a_module(tmp_path, monkeypatch):
    (tmp_path / "some_module_of_mine.py").write_text(OWN.read_text())
    monkeypatch.chdir(tmp_path)
    platform = load_platform("some_module_of_mine:OwnBoardPlatform")
    assert platform.__module__ == "some_module_of_mine"
    assert load_platform("amaranth_boards.icestick:ICEStickPlatform").device == "iCE40HX1K"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("OwnBoard", "must be module:Class or file.py:Class, not 'OwnBoard'"),
        ("own:Own Board", "must be module:Class or file.py:Class, not 'own:Own Board'"),
        ("no.such:Board", "no.such:Board: cannot be imported: ModuleNotFoundError: No module"),
        ("none.py:Board", "none.py:Board: cannot be imported: FileNotFoundError: "),
        ("wrong.py:Board", "wrong.py:Board: cannot be imported: ZeroDivisionError: division by"),
        ("pathlib:Path", "pathlib:Path: must be a class of amaranth.build.Platform"),
        ("pathlib:none", "pathlib:none: must be a class of amaranth.build.Platform"),
        ("amaranth.vendor:LatticeICE40Platform", "lacks connectors, device, package, resources"),
    ],
)
def test_refused_platforms(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.py").write_text("1 / 0")
    with pytest.raises(InputError) as raised:
        load_platform(text)
    assert str(raised.value).startswith("platform") and message in str(raised.value)


def test_defaults_of_a_platform():
    project = Project.of_platform(load_platform(f"{OWN}:OwnBoardPlatform"))
    assert (project.name, project.flash_base) == ("OwnBoard", 0x40000)
    assert project.configuration == PRESETS["hx8k"]
    assert project.resources.flash == "spi_flash_2x"
    assert project.resources.leds == ("led:0", "led:1")
    ecp5 = Project.of_platform(BOARDS["ulx3s-25f"].platform)
    assert (ecp5.configuration_name, ecp5.flash_base) == ("ecp5-25f", 0x200000)


BUILT = {
    "bitstream": "top.bin",
    "bitstream_bytes": 0x20000,
    "fmax_mhz": 25.0,
    "constraint_mhz": 24.0,
    "resources": {},
    "seed": 1,
    "seeds": [],
    "seconds": {},
    "tools": [],
}


@pytest.fixture
def project(monkeypatch):
    """A project, built in no time: `project.built` is what comes of it."""

    def build(make_top, platform, directory, **_):
        directory.mkdir(exist_ok=True)
        (directory / "top.bin").write_bytes(bytes(built["bitstream_bytes"]))
        return built

    built = dict(BUILT)
    monkeypatch.setattr(module, "build", build)
    made = replace(Project.of_board(BOARDS["icebreaker"]), clock_hz=24e6)
    return made, built


def test_report(project, tmp_path):
    made, _ = project
    report = made.build(tmp_path)
    assert report == module.json.loads((tmp_path / "report.json").read_text()) | {
        "pins": report["pins"]
    }
    assert (tmp_path / "icebreaker.bin").stat().st_size == report["bitstream_bytes"]
    assert report["clock_met"] and report["clock_mhz"] == 24
    assert report["configuration"]["och"] == PRESETS["up5k"].och
    assert report["flash_base"] == 0x40000


def test_missed_clock(project, tmp_path):
    made, built = project
    built["fmax_mhz"] = 20.5
    with pytest.raises(InputError) as raised:
        made.build(tmp_path)
    assert str(raised.value) == (
        "clock: 24 MHz is not met, at most 20.5: give a slower --clock, more --seeds, or --force"
    )
    assert not (tmp_path / "icebreaker.bin").exists() and not (tmp_path / "report.json").exists()
    assert made.build(tmp_path, allow_slow=True)["clock_met"] is False
    assert (tmp_path / "icebreaker.bin").is_file()


@pytest.mark.parametrize("name", ["icebreaker.bin", "report.json"])
def test_a_directory_in_the_place_of_a_file(project, tmp_path, monkeypatch, name):
    monkeypatch.setattr(module, "build", lambda *_, **__: pytest.fail("was built"))
    (tmp_path / name).mkdir()
    with pytest.raises(InputError) as raised:
        project[0].build(tmp_path)
    assert str(raised.value) == f"{tmp_path / name}: must be a file, not a directory"


def test_bitstream_over_the_network(project, tmp_path):
    made, built = project
    built["bitstream_bytes"] = 0x40001
    with pytest.raises(InputError) as raised:
        made.build(tmp_path)
    assert (
        str(raised.value)
        == "flash base must be at least 0x40001, behind the bitstream, not 0x40000"
    )
    # A board without a flash has no such limit.
    without = replace(made, resources=replace(made.resources, flash=None))
    assert without.build(tmp_path)["flash_base"] is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"standalone": True, "flash": None}, "link: standalone needs a flash"),
        ({"uart": None}, "uart: must be there unless the board runs alone"),
        ({"baud": 7_000_000}, "baud rate must be at most 1/16 of the clock, 24000000 Hz"),
        ({"name": "é"}, "link: name must be 1 to 32 characters of ASCII, not 'é'"),
        ({"clock_hz": 1e9}, "clock: the PLL of iCE40 makes 16 to 275 MHz, not 1000"),
    ],
)
def test_refused_projects(project, tmp_path, changes, message):
    made, _ = project
    pins = {name: changes.pop(name) for name in ("uart", "flash") if name in changes}
    made = replace(made, resources=replace(made.resources, **pins), **changes)
    with pytest.raises(InputError) as raised:
        made.build(tmp_path / "new")
    assert str(raised.value).startswith(message)
    assert not (tmp_path / "new").exists()
