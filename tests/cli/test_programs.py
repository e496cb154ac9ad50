import json
from dataclasses import replace

import numpy as np
import pytest

from hiddenite.boards.boards import BOARDS
from hiddenite.boards.estimate import estimate_board
from hiddenite.boards.project import Project
from hiddenite.cli.design import configuration_toml
from hiddenite.cli.files import output
from hiddenite.cli.options import Selected
from hiddenite.compiler.compile import compile_network
from hiddenite.compiler.estimate import estimate
from hiddenite.rtl.configuration import PRESETS, PROGRAM_FORMAT, Configuration


def test_estimate(run, network, network_path):
    ran = run("estimate", network_path)
    assert (ran.status, ran.err) == (0, "")
    for layer in network.layers:
        assert f"\n{layer.name} " in ran.out
    result = estimate(compile_network(network, PRESETS["up5k"]))
    assert f"\n{result.cycles:,} cycles an image, " in ran.out
    assert f"{result.mask_bits_per_weight:.3f} mask bits per weight" in ran.out
    assert "up5k, 8 x 16 x 1 x 1 = 128 PEs" in ran.out


@pytest.mark.parametrize("preset", PRESETS)
def test_estimate_json(run, network, network_path, preset):
    ran = run("estimate", network_path, "--config", preset, "--json")
    assert (ran.status, ran.err) == (0, "")
    facts = json.loads(ran.out)
    program = compile_network(network, PRESETS[preset])
    result = estimate(program)
    assert facts["configuration"] == preset
    assert facts["cycles"] == result.cycles
    assert facts["mask_bits"] == program.mask_bits
    assert [layer["name"] for layer in facts["layers"]] == [layer.name for layer in result.layers]
    assert facts["layers"][1]["shape"] == [8, 8, 16]


@pytest.mark.parametrize("preset", ["tiny", "asic"])
def test_compile(run, here, network, network_path, preset):
    ran = run("compile", network_path, "--config", preset, "-o", "program.bin")
    assert (ran.status, ran.err) == (0, "")
    assert "program.bin: " in ran.out and "program.bin.json: " in ran.out
    c = PRESETS[preset]
    program = compile_network(network, c)
    assert (here / "program.bin").read_bytes() == program.bytes
    facts = json.loads((here / "program.bin.json").read_text())
    assert facts["format_version"] == PROGRAM_FORMAT
    assert Configuration(**facts["configuration"]) == c
    assert int(facts["fingerprint"], 16) == c.fingerprint
    assert facts["program"]["words"] * facts["program"]["word_bits"] == 8 * len(program.bytes)
    assert facts["input"]["shape"] == [8, 8, 1] and facts["result"]["shape"] == [1, 1, 10]
    assert facts["result"]["type"] == "int32"
    assert facts["classes"] == list("0123456789")
    assert facts["input"]["beats"] == len(program.image_beats(np.zeros((8, 8, 1), np.uint8)))
    assert len(list(here.iterdir())) == 2


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("layer", ["layer2.conv", "pool1", "classifier.linear"])
def test_result_order_rule(run, here, network, preset, layer):
    """The rule in the file says the same as the compiler."""
    c = PRESETS[preset]
    prefix = network.prefix(layer)
    prefix.save(here / "n")
    assert run("compile", "n", "--config", preset, "-o", "p").status == 0
    facts = json.loads((here / "p.json").read_text())["result"]
    height, width, channels = facts["shape"]
    rows, columns, depth = facts["tile_rows"], facts["tile_columns"], facts["tile_channels"]
    order = [
        [
            (y * width + x) * channels + channel if channel < channels else -1
            for channel in range(beat, beat + facts["lanes"])
        ]
        for tile in range(0, channels, depth)
        for tile_y in range(0, height, rows)
        for tile_x in range(0, width, columns)
        for y in range(tile_y, min(tile_y + rows, height))
        for x in range(tile_x, min(tile_x + columns, width))
        for beat in range(tile, min(tile + depth, channels), facts["lanes"])
    ]
    np.testing.assert_array_equal(order, compile_network(prefix, c).result_order())
    assert facts["beats"] == len(order)


def test_compile_json(run, here, network_path):
    ran = run("compile", network_path, "-o", "p", "--json")
    assert json.loads(ran.out) == json.loads((here / "p.json").read_text())


def test_output_that_is_no_file(here):
    """A device is written to, not replaced."""
    before = list(here.iterdir())
    with output("/dev/null") as file:
        file.write(b"x")
    assert list(here.iterdir()) == before
    with open("/dev/null", "rb") as null:
        assert null.read() == b""


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("folder/q/p/n", "folder/q/p/n: cannot be written: Not a directory"),
        ("x" * 300, f"{'x' * 300}: cannot be written: File name too long"),
        ("folder", "folder: must be a file, not a directory"),
        ("q", "q.json: must be a file, not a directory"),
    ],
)
def test_refused_output(refused, here, network_path, path, message):
    (here / "folder").mkdir()
    (here / "folder" / "q").touch()
    (here / "q.json").mkdir()
    assert refused("compile", network_path, "-o", path) == message
    assert sorted(p.name for p in here.rglob("*")) == ["folder", "q", "q.json"]


def test_output_in_folders_that_are_made(run, here, network_path):
    assert run("compile", network_path, "-o", "new/folder/p").status == 0
    assert sorted(p.name for p in (here / "new" / "folder").iterdir()) == ["p", "p.json"]


@pytest.mark.parametrize("command", [["estimate"], ["compile", "-o", "p"]])
def test_too_large_a_network(refused, here, network_path, command):
    small = here / "small.toml"
    c = replace(PRESETS["tiny"], activation_words=16)
    small.write_bytes(configuration_toml(Selected("x", c)))
    line = refused(*command, network_path, "--config", small)
    assert "activation memory" in line and line.endswith("raise activation_words")
    assert list(here.iterdir()) == [small]


@pytest.mark.parametrize("preset", ["tiny", "asic"])
def test_batch(run, here, network, network_path, preset):
    options = "--config", preset, "--batch", "4"
    program = compile_network(network, PRESETS[preset], batch=4)
    assert run("compile", network_path, *options, "-o", "p").status == 0
    assert (here / "p").read_bytes() == program.bytes
    facts = json.loads((here / "p.json").read_text())
    assert facts["batch"] == 4
    assert facts["input"]["beats"] == len(program.image_beats(np.zeros((4, 8, 8, 1), np.uint8)))
    assert facts["result"]["beats"] == len(program.result_order())
    cycles = estimate(program).cycles
    ran = run("estimate", network_path, *options)
    assert "a batch of 4 images\n" in ran.out
    assert f"\n{cycles / 4:,.0f} cycles an image, " in ran.out
    facts = json.loads(run("estimate", network_path, *options, "--json").out)
    assert (facts["batch"], facts["cycles"], facts["image_cycles"]) == (4, cycles, cycles / 4)


@pytest.mark.parametrize("command", ["estimate", "compile", "simulate"])
def test_too_large_a_batch(refused, network_path, images_path, command):
    more = {"compile": ["-o", "p"], "simulate": [images_path]}.get(command, [])
    line = refused(command, network_path, *more, "--config", "tiny", "--batch", "5")
    assert line == ("batch: must be 1 to 4, the largest_batch of this configuration, not 5")


def test_a_board_takes_no_batch(refused, network_path):
    line = refused("estimate", network_path, "--board", "ulx3s-25f", "--batch", "2")
    assert line == "batch: must be 1 with --board, not 2"


@pytest.mark.parametrize("source", [None, "flash", "uart", "baked"])
def test_estimate_of_a_board(run, network, network_path, source):
    chosen = ["--source", source] if source else []
    ran = run("estimate", network_path, "--board", "hx8k", *chosen)
    assert (ran.status, ran.err) == (0, "")
    link = Project.of_board(BOARDS["hx8k"]).plan(BOARDS["hx8k"].platform())[1]
    whole = estimate_board(compile_network(network, PRESETS["hx8k"]), link, source or "flash")
    assert ran.out.splitlines()[-1] == (
        f"hx8k, source {source or 'flash'}: {whole.cycles:,} cycles an image at 48 MHz,"
        f" {whole.images_per_second:,.0f}/s, bound by the {whole.bound}"
    )
    ran = run("estimate", network_path, "--board", "hx8k", *chosen, "--json")
    facts = json.loads(ran.out)
    assert (facts["configuration"], facts["board"]) == ("hx8k", "hx8k")
    assert (facts["board_cycles"], facts["board_bound"]) == (whole.cycles, whole.bound)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--source", "uart"], "source: needs --board"),
        (["--board", "desk"], "board must be one of icebreaker, hx8k, "),
    ],
)
def test_refused_boards(run, network_path, options, message):
    ran = run("estimate", network_path, *options)
    assert ran.status == 2 and message in ran.err and ran.err.count("\n") == 1
