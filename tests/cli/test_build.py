import json
from pathlib import Path

import pytest

from hiddenite.boards import project as project_module
from hiddenite.boards.boards import BOARDS
from hiddenite.cli import build as module
from hiddenite.cli.main import main
from hiddenite.compiler.compile import compile_network
from hiddenite.rtl.configuration import PRESETS, Configuration, load_configuration

OWN_BOARD = Path(__file__).parents[1] / "boards" / "own_board.py"
# The smallest engine there is: a real part, pins and all, in little time.
SMALL = """
ich = 1
och = 1
activation_words = 64
tile_words = 32
accumulator_bits = 16
timeout_cycles = 0
"""


def test_list(run):
    ran = run("build", "--list")
    assert ran.status == 0
    assert all(board.name in ran.out and board.title in ran.out for board in BOARDS.values())
    assert max(map(len, ran.out.splitlines())) <= 100


def test_list_json(run):
    facts = json.loads(run("build", "--list", "--json").out)
    assert [f["board"] for f in facts] == list(BOARDS)
    assert facts[0]["programmers"] == ["openFPGALoader", "iceprog"]


def test_bitstream_for_a_board_of_ones_own(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pyosys")
    (tmp_path / "small.toml").write_text(SMALL)
    (tmp_path / "mine.py").write_text(OWN_BOARD.read_text())
    monkeypatch.chdir(tmp_path)
    arguments = [
        "build",
        "--platform",
        "mine.py:OwnBoardPlatform",
        "--config",
        "small.toml",
        "--clock",
        "24",
    ]
    status = main(arguments)
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    assert "OwnBoard: small.toml, 1 x 1 x 1 x 1 = 1 PEs, on iCE40HX8K" in out
    assert "clock 24 MHz: at most" in out and "build/OwnBoard/OwnBoard.bin: 135.1 kB" in out
    folder = tmp_path / "build" / "OwnBoard"
    bitstream = (folder / "OwnBoard.bin").read_bytes()
    assert b"\x7e\xaa\x99\x7e" in bitstream[:200]
    report = json.loads((folder / "report.json").read_text())
    assert Configuration(**report["configuration"]) == load_configuration("small.toml")
    assert report["clock_met"] and report["fmax_mhz"] >= report["clock_mhz"] == 24
    # More than a link: the engine is in it.
    assert report["resources"]["logic_cells"]["used"] > 2500
    assert report["resources"]["block_ram"]["used"] >= 4
    assert (folder / "hiddenite.v").is_file() and (folder / "nextpnr-1.log").is_file()


@pytest.fixture
def projects(monkeypatch):
    """Nothing is built; the projects that would be."""
    built = []

    def build(self, directory, **options):
        built.append((self, directory, options))
        return {
            "device": "some part",
            "resources": {"logic_cells": {"used": 5000, "available": 5280}},
            "clock_mhz": 24.0,
            "clock_met": options["allow_slow"] is False,
            "fmax_mhz": 30.5,
            "seeds": [{"fmax_mhz": rate} for rate in (30.5, 24.5, None, 27.5)][
                : len(options["seeds"])
            ],
            "bitstream": "x.bin",
            "bitstream_bytes": 104090,
            "seconds": {"place and route": 100.2},
        }

    monkeypatch.setattr(project_module.Project, "build", build)
    return built


def test_defaults_of_a_board(run, projects):
    ran = run("build", "icebreaker")
    assert ran.status == 0 and ran.err == ""
    ((project, directory, options),) = projects
    assert project == project_module.Project.of_board(BOARDS["icebreaker"])
    assert directory == Path("build/icebreaker")
    assert list(options["seeds"]) == [1] and options["allow_slow"] is False
    assert "icebreaker: up5k, 8 x 16 x 1 x 1 = 128 PEs, on some part" in ran.out
    assert "5,000" in ran.out and "94.7 %" in ran.out
    assert "clock 24 MHz: at most 30.5 MHz" in ran.out
    assert "build/icebreaker/x.bin: 104.1 kB, 100 s" in ran.out


def test_options(run, projects, network_path, network):
    ran = run(
        *[
            "build",
            "hx8k",
            "--config",
            "tiny",
            "--clock",
            "16.5",
            "--baud",
            "115200",
            "--uart",
            "R16,T15",
        ],
        *[
            "--flash",
            "spi_flash_1x",
            "--clock-from",
            "clk12",
            "--button",
            "x",
            "--led",
            "led:7",
            "--led",
            "led:6",
            "--flash-base",
            "0x80000",
        ],
        *["--standalone", "--seed", "5", "--force", "-o", "elsewhere", "--json", "--bake"],
        network_path,
    )
    assert ran.status == 0
    assert json.loads(ran.out)["clock_met"] is False
    ((project, directory, options),) = projects
    tiny = PRESETS["tiny"]
    assert (project.configuration_name, project.configuration) == ("tiny", tiny)
    assert (project.clock_hz, project.baud, project.flash_base) == (16.5e6, 115200, 0x80000)
    assert project.resources.uart == "R16,T15" and project.resources.button == "x"
    assert project.resources.clock == "clk12"
    assert project.resources.leds == ("led:7", "led:6") and project.standalone
    assert project.program == compile_network(network, tiny).bytes
    assert project.network_name == network.name
    assert directory == Path("elsewhere") and list(options["seeds"]) == [5]
    assert options["allow_slow"]


def test_seeds(run, projects):
    ran = run("build", "hx8k", "--seed", "3", "--seeds", "4", "--jobs", "2")
    assert "at most 30.5 MHz, median 27.5 of 3 seeds, 24.5 at least" in ran.out
    ((_, _, options),) = projects
    assert list(options["seeds"]) == [3, 4, 5, 6] and options["jobs"] == 2


def test_missed_clock_is_said(run, projects):
    assert "clock 24 MHz, which is NOT met: at most 30.5 MHz" in run("build", "hx8k", "--force").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "build: give either a BOARD (see --list) or --platform"),
        (
            ["hx8k", "--platform", "a:B"],
            "build: give either a BOARD (see --list) or --platform",
        ),
        (
            ["none"],
            "board must be one of icebreaker, hx8k, ulx3s-25f, ulx3s-85f, ecpix5-85f, orangecrab,"
            " not 'none'",
        ),
        (["--platform", "a"], "platform: must be module:Class or file.py:Class, not 'a'"),
        (["hx8k", "--clock", "300"], "clock: the PLL of iCE40 makes 16 to 275 MHz, not 300"),
        (
            ["hx8k", "--clock", "0"],
            "invalid value for '--clock': 0.0 is not in the range x>0",
        ),
        (
            ["hx8k", "--flash-base", "end"],
            "invalid value for '--flash-base': 'end' is not a number",
        ),
        (
            ["hx8k", "--led", "lamp"],
            "led: the board has no 'lamp', but clk12, led:0/1/2/3/4/5/6/7, uart, spi_flash_1x,"
            " spi_flash_2x",
        ),
        (
            ["hx8k", "--config", "asic"],
            "configuration does not fit iCE40 HX8K: 2181 EBR needed, 32 there",
        ),
        (
            ["ulx3s-25f", "--standalone"],
            "link: standalone needs a configuration with post_lanes 1, not 4",
        ),
        (["hx8k", "--bake", "none.safetensors"], "none.safetensors: no such file"),
    ],
)
def test_refused(refused, here, arguments, message):
    assert refused("build", *arguments) == message
    assert not list(here.iterdir())


def test_missing_tools(refused, here, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert refused("build", "hx8k") == (
        "pyosys is not installed: install it with `pip install 'hiddenite[build]'`"
    )
    assert not list(here.iterdir())
    assert module.__all__ == ["build"]
