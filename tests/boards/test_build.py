"""The flow from a top to a bitstream, with a counter for a top."""

import errno
import os
import sys
from dataclasses import replace

import pytest
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth_boards.tang_nano_9k import TangNano9kPlatform

from hiddenite.boards import build as module
from hiddenite.boards.boards import BOARDS, part_of
from hiddenite.boards.build import build, check_memories, family_of, packer
from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import PRESETS
from hiddenite.synthesis.parts import PARTS
from hiddenite.synthesis.toolchain import Tool


class Counter(Elaboratable):
    def elaborate(self, platform):
        m = Module()
        m.submodules.led = led = io.Buffer("o", platform.request("led", 0, dir="-"))
        count = Signal(8)
        m.d.sync += count.eq(count + 1)
        m.d.comb += led.o.eq(count[-1])
        return m


def build_counter(directory, board="hx8k", **options):
    platform = BOARDS[board].platform()
    return build(
        lambda _: Counter(),
        platform,
        directory,
        part=part_of(platform),
        **{"seeds": [1], **options},
    )


@pytest.mark.parametrize(
    ("board", "name", "size", "cells"),
    [("hx8k", "top.bin", 135_100, 7680), ("ulx3s-25f", "top.bit", None, 24_288)],
)
def test_bitstream(tmp_path, monkeypatch, board, name, size, cells):
    pytest.importorskip("pyosys")
    # Compressed also where the platform does not ask for it.
    asks, *_ = (
        platform
        for platform in BOARDS["ulx3s-25f"].platform.__mro__
        if "toolchain_prepare" in vars(platform)
    )
    monkeypatch.delattr(asks, "toolchain_prepare")
    steps = []
    report = build_counter(
        tmp_path / "deep" / "down",
        board,
        progress=lambda step, done, total, text: steps.append(step),
    )
    bitstream = tmp_path / "deep" / "down" / name
    assert report["bitstream"] == name
    assert report["bitstream_bytes"] == bitstream.stat().st_size
    if size is None:
        # Compressed: otherwise it has 24 bytes for each cell.
        assert bitstream.stat().st_size < 8 * cells
    else:
        assert bitstream.stat().st_size == size
        # What every iCE40 bitstream begins with, and its synchronisation word.
        assert b"\x7e\xaa\x99\x7e" in bitstream.read_bytes()[:200]
    assert report["resources"]["logic_cells"]["available"] == cells
    assert 0 < report["resources"]["logic_cells"]["used"] < 100
    assert report["fmax_mhz"] > report["constraint_mhz"]
    assert list(dict.fromkeys(steps)) == list(report["seconds"]) == [
        "generate Verilog", "synthesise", "place and route", "make the bitstream"
    ]  # fmt: skip
    assert len(report["tools"]) == 3 and report["seed"] == 1


def test_the_fastest_seed_is_kept(tmp_path):
    pytest.importorskip("pyosys")
    report = build_counter(tmp_path, seeds=[3, 4, 5], jobs=2)
    assert [found["seed"] for found in report["seeds"]] == [3, 4, 5]
    rates = {found["seed"]: found["fmax_mhz"] for found in report["seeds"]}
    assert report["fmax_mhz"] == rates[report["seed"]] == max(rates.values())
    alone = build_counter(tmp_path / "alone", seeds=[report["seed"]])
    assert alone["fmax_mhz"] == report["fmax_mhz"]
    assert (tmp_path / "alone" / "top.asc").read_bytes() == (tmp_path / "top.asc").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("*nextpnr*")) == [
        *("nextpnr-3.log", "nextpnr-4.log", "nextpnr-5.log", "nextpnr.json")
    ]


def stand_in(monkeypatch, printed, status):
    """No Yosys; in nextpnr's place a program that prints something and ends."""
    monkeypatch.setattr(module, "run_yosys", lambda *_: None)
    monkeypatch.setattr(module, "run_netlist_passes", lambda *_: None)
    code = f"import sys; print({printed!r}, flush=True); sys.exit({status})"
    tool = Tool("nextpnr-ice40", (sys.executable, "-c", code), "")
    monkeypatch.setattr(module.toolchain, "yosys", lambda: tool)
    monkeypatch.setattr(module.toolchain, "nextpnr", lambda _: tool)


@pytest.mark.parametrize("status", [0, 1])
def test_too_many_cells(tmp_path, monkeypatch, status):
    usage = (
        "Info: Device utilisation:\n"
        "Info: \t         ICESTORM_LC:    8851/   7680   115%\n"
        "Info: \t        ICESTORM_RAM:      17/     32    53%\n"
    )
    stand_in(monkeypatch, usage, status)
    with pytest.raises(InputError) as raised:
        build_counter(tmp_path)
    assert str(raised.value) == (
        "configuration does not fit iCE40HX8K: 8,851 ICESTORM_LC needed, 7,680 there"
    )


def test_nothing_is_left(tmp_path, monkeypatch):
    def vanish(commands, directory, watch):
        (directory / "yosys.log").touch()

    code = "import sys, pathlib; p = pathlib.Path(sys.argv[sys.argv.index('--report') + 1]);"
    code += """p.write_text('{"fmax": {}, "utilization": {}}')"""
    tool = Tool("nextpnr-ice40", (sys.executable, "-c", code), "")
    nothing = Tool("icepack", (sys.executable, "-c", "open('top.bin', 'w')"), "")
    monkeypatch.setattr(module, "run_yosys", vanish)
    monkeypatch.setattr(module, "run_netlist_passes", lambda *_: None)
    monkeypatch.setattr(module.toolchain, "nextpnr", lambda _: tool)
    monkeypatch.setattr(module, "packer", lambda _: nothing)
    with pytest.raises(RuntimeError) as raised:
        build_counter(tmp_path)
    assert str(raised.value) == (
        f"synthesis has left nothing with a clock; see {tmp_path / 'yosys.log'}"
    )


def test_failure_of_nextpnr(tmp_path, monkeypatch):
    stand_in(monkeypatch, "ERROR: something odd\nERROR: more", 125)
    with pytest.raises(RuntimeError) as raised:
        build_counter(tmp_path)
    log = tmp_path / "nextpnr-1.log"
    assert str(raised.value) == f"nextpnr-ice40 failed: something odd; see {log}"
    assert log.is_file()


def test_clock_out_of_reach(tmp_path, monkeypatch):
    said = "Info:     iter=100 wires=9 overused=200 overuse=200 tmgfail=7 archfail=NA"
    stand_in(monkeypatch, said, 0)
    code = f"import time; print({said!r}, flush=True); time.sleep(60)"
    tool = Tool("nextpnr-ice40", (sys.executable, "-c", code), "")
    monkeypatch.setattr(module.toolchain, "nextpnr", lambda _: tool)
    with pytest.raises(RuntimeError) as raised:
        build_counter(tmp_path)
    assert str(raised.value) == (
        "nextpnr-ice40 failed: after 100 rounds of routing, 200 wires are used twice and 7 "
        f"connections too slow: ask for a lower clock; see {tmp_path / 'nextpnr-1.log'}"
    )


def test_native_packer_comes_first(tmp_path, monkeypatch):
    program = tmp_path / "icepack"
    program.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert packer("ice40").command == (str(program),)
    assert "WebAssembly" in packer("ecp5").version


def test_missing_packer(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError) as raised:
        packer("ecp5")
    assert str(raised.value) == (
        "ecppack is not installed: install it with `pip install 'hiddenite[build]'`"
    )


def test_too_many_memory_blocks():
    c = replace(PRESETS["up5k"], tile_words=4096)
    with pytest.raises(InputError) as raised:
        check_memories(PARTS["up5k"], c)
    assert str(raised.value) == ("configuration does not fit iCE40 UP5K: 263 EBR needed, 30 there")


def test_directory_that_cannot_be(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InputError) as raised:
        build_counter(file / "in")
    assert str(raised.value) == f"{file / 'in'}: cannot be made a directory: Not a directory"


def test_directory_that_takes_no_files(tmp_path, monkeypatch):
    def fail(**_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("tempfile.TemporaryFile", fail)
    with pytest.raises(InputError) as raised:
        build_counter(tmp_path / "in" / "it")
    assert (
        str(raised.value) == f"{tmp_path / 'in' / 'it'}: cannot be written into: Permission denied"
    )


def test_other_vendors_are_refused():
    with pytest.raises(InputError) as raised:
        family_of(TangNano9kPlatform)
    assert str(raised.value) == (
        "platform: the part must be an iCE40 or an ECP5, not TangNano9kPlatform"
    )
