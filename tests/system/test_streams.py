"""Streams that pause, resets in the middle, networks one after the other."""

import numpy as np
import pytest
from random_networks import random_images, random_network
from system.cases import Case, faults, small_case

from hiddenite.rtl.configuration import PRESETS
from hiddenite.sim.simulation import Stalls

TINY = PRESETS["tiny"]
PROBABILITIES = (0.05, 0.5, 0.95)
# Cycles more behind a reset, while the lanes write the identity for pools and say so.
IDENTITY = TINY.och // TINY.constructor_lanes


@pytest.fixture(scope="module")
def cases():
    """Small networks with every operation between them."""
    rng = np.random.default_rng(11)
    networks = [random_network(rng, max_pixels=60) for _ in range(12)]
    operations = {type(layer).__name__ for network in networks for layer in network.layers}
    assert operations == {"Conv", "MaxPool", "AvgPool"}
    assert any(getattr(layer, "residual", None) for n in networks for layer in n.layers)
    found = [Case.of(n, random_images(rng, n, 1)[0], TINY) for n in networks]
    return [small_case(TINY), *found]


@pytest.mark.parametrize(
    "streams",
    [("program",), ("image",), ("result",), ("program", "image", "result")],
    ids=lambda streams: "-".join(streams),
)
def test_stalls_change_cycles_only(streams, cases, engines):
    simulation = engines.simulation(TINY)
    plain = simulation.run([case.run() for case in cases])
    assert not faults(cases, plain)
    slower = 0
    for probability in PROBABILITIES:
        for seed in (1, 2):
            stalls = Stalls(**dict.fromkeys(streams, probability), seed=seed)
            outcomes = simulation.run([case.run(stalls=stalls) for case in cases])
            assert not faults(cases, outcomes), stalls
            for one, two in zip(plain, outcomes, strict=True):
                np.testing.assert_array_equal(one.results, two.results)
                assert one.cycles <= two.cycles
        # The pauses were there.
        faster, slower = slower, sum(outcome.cycles for outcome in outcomes)
        assert slower > faster
    assert slower > sum(outcome.cycles for outcome in plain)


def test_result_stream_that_waits_for_ever_loses_nothing(cases, engines):
    """The engine waits; it neither drops results nor takes it for an error."""
    stalls = Stalls(result=255 / 256)
    outcomes = engines.simulation(TINY).run([case.run(stalls=stalls) for case in cases])
    assert not faults(cases, outcomes)


@pytest.mark.parametrize("stalled", [False, True])
def test_reset_in_the_middle(stalled, cases, engines):
    simulation = engines.simulation(TINY)
    stalls = Stalls(program=0.2, image=0.2, result=0.2) if stalled else Stalls()
    # The first run is right behind a reset and takes longer.
    plain = simulation.run([cases[0].run(), *(case.run(stalls=stalls) for case in cases)])[1:]
    runs, places = [], []
    for number, (case, outcome) in enumerate(zip(cases, plain, strict=True)):
        for cycle in {*range(1, 12), *np.linspace(12, outcome.cycles - 1, 30).astype(int)}:
            following = cases[(number + 1) % len(cases)]
            runs += [case.run(stalls=stalls, reset_after=int(cycle)), following.run()]
            places.append((number, cycle))
    outcomes = simulation.run(runs)
    for (number, cycle), ended, outcome in zip(places, outcomes[::2], outcomes[1::2], strict=True):
        where = f"case {number}, reset after cycle {cycle}, then the next case"
        assert ended.was_reset and not ended.timed_out, where
        sent = plain[number].results[: len(ended.results)]
        np.testing.assert_array_equal(ended.results, sent, err_msg=where)
        assert cases[(number + 1) % len(cases)].fault(outcome) is None, where


def test_networks_one_after_the_other(cases, engines):
    simulation = engines.simulation(TINY)
    order = [n for a in range(len(cases)) for b in range(a) for n in (a, b, a)]
    sequence = [cases[n] for n in order]
    alone = simulation.run([case.run(reset_before=True) for case in cases])
    outcomes = simulation.run([case.run() for case in sequence])
    assert not faults(sequence, outcomes)
    # What ran before leaves no trace, but for the identity that is in the tile buffer.
    cycles = [alone[n].cycles - IDENTITY for n in order]
    cycles[0] += IDENTITY
    assert [outcome.cycles for outcome in outcomes] == cycles


def test_one_network_again_and_again(engines):
    case = small_case(TINY)
    images = [np.roll(case.beats, n, axis=0) for n in range(100)]
    runs = [case.run(image=images[n % 2]) for n in range(100)]
    outcomes = engines.simulation(TINY).run(runs)
    assert not faults([case] * 50, outcomes[::2])
    for outcome in outcomes[1::2]:
        np.testing.assert_array_equal(outcome.results, outcomes[1].results)
    first, *others = (outcome.cycles for outcome in outcomes)
    assert set(others) == {first - IDENTITY}


def test_image_before_it_is_wanted_and_after(engines):
    """Neither stream needs to come first."""
    case = small_case(TINY)
    early, late = Stalls(program=0.95), Stalls(image=0.95)
    runs = [case.run(stalls=stalls) for stalls in (early, late)]
    assert not faults([case] * 2, engines.simulation(TINY).run(runs))
