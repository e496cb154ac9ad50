import json
import sys

import pytest

from hiddenite.synthesis import nextpnr
from hiddenite.synthesis.harness import HARNESS, wrap
from hiddenite.synthesis.nextpnr import (
    out_of_reach,
    pack,
    place_and_route,
    routing_options,
    why_failed,
)
from hiddenite.synthesis.synthesize import synthesize
from hiddenite.synthesis.toolchain import Tool


@pytest.fixture
def netlist(part, counter):
    return synthesize(counter, "counter", part).json.read_bytes()


@pytest.fixture
def wrapped(part, netlist):
    return json.dumps(wrap(json.loads(netlist), "counter", part.family)).encode()


def test_pack(part, netlist, wrapped):
    alone, with_harness = pack(netlist, "counter", part), pack(wrapped, HARNESS, part)
    assert alone["block_ram"].used == alone["dsp"].used == 0
    assert alone["block_ram"].available == next(b.count for b in part.blocks if b.ports == 2)
    assert 8 <= alone["logic_cells"].used < with_harness["logic_cells"].used < 60


def test_place_and_route_and_its_cache(part, wrapped, own_cache, monkeypatch):
    steps = []
    found = place_and_route(
        wrapped,
        HARNESS,
        part,
        target_mhz=50,
        seeds=[1],
        jobs=1,
        progress=lambda *step: steps.append(step),
    )
    assert [result.seed for result in found] == [1]
    assert found[0].error is None and found[0].fmax_mhz > 20 and found[0].seconds > 0
    assert steps[0] == ("place and route", 0, 1, "")
    assert steps[-1] == ("place and route", 1, 1, "")
    assert any("seed 1: " in text for *_, text in steps)
    assert all(path.name.startswith("route-") for path in own_cache.iterdir())

    def run(jobs, **_):
        assert not jobs

    monkeypatch.setattr(nextpnr, "run", run)
    assert place_and_route(wrapped, HARNESS, part, target_mhz=50, seeds=[1], jobs=1) == found


def test_seed_that_cannot_be_placed(part, netlist, own_cache):
    text = json.loads(netlist)
    # More pins than any package has.
    port = {"direction": "output", "bits": list(range(10_000, 10_400))}
    text["modules"]["counter"]["ports"]["more"] = port
    text["modules"]["counter"]["netnames"]["more"] = {
        "hide_name": 0, "bits": port["bits"], "attributes": {}
    }  # fmt: skip
    content = json.dumps(text).encode()
    (found,) = place_and_route(content, "counter", part, target_mhz=50, seeds=[3], jobs=1)
    assert found.seed == 3 and found.fmax_mhz is None
    assert found.error and "\n" not in found.error
    assert list(own_cache.iterdir()) == []


ROUTE = ["--placer", "static", "--router", "router2", "--tmg-ripup"]
ROUND = "Info:     iter={} wires=396289 overused={} overuse=223 tmgfail=7389 archfail=NA\n"
HOPELESS = (
    "after 100 rounds of routing, 222 wires are used twice and 7,389 connections too slow: "
    "ask for a lower clock"
)


def test_routing_that_does_not_end(tmp_path):
    log = tmp_path / "nextpnr.log"
    assert out_of_reach(log) is None
    text = "Info: Running main router loop...\n"
    text += "".join(ROUND.format(number, 5000) for number in range(1, 100))
    for last, said in (
        ("", None),
        (ROUND.format(100, 222), HOPELESS),
        (ROUND.format(100, 9), None),
    ):
        log.write_text(text + last)
        assert out_of_reach(log) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "it said nothing"),
        ("", "it said nothing"),
        ("Info: 1\nterminated", "terminated"),
        ("ERROR: odd\nERROR: more\nbye", "odd"),
        (ROUND.format(100, 222) + "ERROR: odd\n", HOPELESS),
    ],
)
def test_why_it_failed(tmp_path, text, said):
    log = tmp_path / "nextpnr.log"
    if text is not None:
        log.write_text(text)
    assert why_failed(log) == said


def test_seed_whose_clock_is_out_of_reach(part, wrapped, own_cache, monkeypatch):
    code = f"import time; print({ROUND.format(100, 222)!r}, flush=True); time.sleep(60)"
    tool = Tool("nextpnr", (sys.executable, "-c", code), "0")
    monkeypatch.setattr(nextpnr.toolchain, "nextpnr", lambda family: tool)
    monkeypatch.setattr(nextpnr, "routing_options", lambda *_: [])
    (found,) = place_and_route(wrapped, HARNESS, part, target_mhz=50, seeds=[7], jobs=1)
    assert (found.seed, found.fmax_mhz, found.error) == (7, None, HOPELESS)
    assert found.seconds < 30 and list(own_cache.iterdir()) == []


def test_failed_program(part, netlist, own_cache):
    with pytest.raises(RuntimeError, match=rf"^nextpnr-{part.family} failed:\n"):
        pack(netlist, "nothing", part)
    assert list(own_cache.iterdir()) == []


@pytest.mark.parametrize(
    ("family", "said", "options"),
    [
        ("ice40", "--parallel-refine", []),
        (
            "ecp5",
            "--parallel-refine",
            [*ROUTE, "--parallel-refine", "--threads", "1"],
        ),
        ("ecp5", "", ROUTE),
    ],
)
def test_options_are_those_that_the_tool_knows(family, said, options):
    tool = Tool("nextpnr", (sys.executable, "-c", f"print({said!r})"), "")
    assert routing_options(family, tool) == options
