"""Random networks on random engines; `pytest --networks 5000 --seed 2` for thousands of others."""

import shutil

import numpy as np
from random_joins import random_joined_network
from random_networks import HARDWARE, random_images, random_network, random_residual_network
from system.cases import Case
from system.random_configurations import pairs, random_configuration, technologies

from hiddenite.golden.errors import InputError
from hiddenite.sim.simulation import Stalls

# A build with Verilator takes seconds and simulates fast, Icarus the other way round. Where Icarus
# is not installed, its share is simulated with Verilator.
SIMULATORS = ("verilator", "icarus", "icarus", "icarus")
NETWORKS = {"verilator": 26, "icarus": 8}
SIZES = {
    "verilator": {},
    "icarus": {"max_weights": 500, "max_pixels": 40, "max_layers": 4},
}
# Each fourth network is full of residuals and strides, for which tensors share memory.
RESIDUAL_NETWORKS = 4
# Beside them, for each configuration so many that join tensors.
JOINED_NETWORKS = {"verilator": 8, "icarus": 2}
JOINED_SIZES = {
    "verilator": {},
    "icarus": {"max_weights": 600, "max_pixels": 50, "max_layers": 6},
}
# So many networks in turn that do not fit a configuration are an error.
MOST_DRAWS = 200


def shares(networks):
    """Split a number of networks into (configuration's number, simulator, number of networks)."""
    number = 0
    while networks > 0:
        simulator = SIMULATORS[number % len(SIMULATORS)]
        share = min(NETWORKS[simulator], networks)
        yield number, simulator, share
        networks -= share
        number += 1


def pytest_generate_tests(metafunc):
    if "share" in metafunc.fixturenames:
        found = list(shares(metafunc.config.option.networks))
        metafunc.parametrize("share", found, ids=[str(number) for number, *_ in found])


def draw(seed, number, network, simulator, configuration, joined):
    """Return a random network that fits the configuration, with the runs to make of it."""
    rng = np.random.default_rng([seed, number, network, *[1] * joined])
    drawn_from, sizes = random_network, SIZES[simulator] | {"features": HARDWARE}
    if joined:
        drawn_from = random_joined_network
        sizes = JOINED_SIZES[simulator] | {"word": configuration.ich}
    elif (network + 1) % RESIDUAL_NETWORKS == 0:
        drawn_from = random_residual_network
    for _ in range(MOST_DRAWS):
        drawn = drawn_from(rng, **sizes)
        batch = int(rng.integers(1, configuration.largest_batch + 1))
        images = random_images(rng, drawn, 1 + batch)
        try:
            cases = [Case.of_batch(drawn, own, configuration) for own in (images[:1], images[1:])]
        except InputError:
            continue
        program, image, result = rng.choice([0, 0.1, 0.3, 0.8], 3)
        stalls = Stalls(program=program, image=image, result=result, seed=network + 1)
        everywhere = Stalls(program=0.3, image=0.3, result=0.3, seed=network + 1)
        runs = [(cases[0], cases[0].run()), (cases[1], cases[1].run(stalls=stalls))]
        # With each second one, as it takes the longest.
        if network % 2:
            runs.append((cases[0], cases[0].run(stalls=everywhere)))
        return drawn, runs
    raise AssertionError(f"{MOST_DRAWS} networks in turn do not fit {configuration}")


def test_networks(share, engines, request):
    number, simulator, networks = share
    run_networks(number, simulator, networks, False, engines, request)


def test_joined_networks(share, engines, request):
    """With adds, concats, upsamples, groups and paddings of each side."""
    number, simulator, _ = share
    run_networks(number, simulator, JOINED_NETWORKS[simulator], True, engines, request)


def run_networks(number, simulator, networks, joined, engines, request):
    """Draw networks for a configuration, and compare them with the golden model."""
    seed, only = request.config.option.seed, request.config.option.only
    configuration = random_configuration(seed, number, simulator)
    available = simulator if shutil.which("iverilog") else "verilator"
    simulation = engines.simulation(configuration, available)
    drawn, cases, runs = [], [], []
    for network in range(networks) if only is None else [only]:
        found, made = draw(seed, number, network, simulator, configuration, joined)
        for case, run in made:
            drawn.append((network, found))
            cases.append(case)
            runs.append(run)

    # One after the other, without a reset between them.
    outcomes = simulation.run(runs)

    for (network, found), case, run, outcome in zip(drawn, cases, runs, outcomes, strict=True):
        fault = case.fault(outcome)
        layers = ", ".join(layer.op for layer in found.layers)
        assert fault is None, (
            f"{fault}\nseed {seed}, configuration {number}, network {network} of it, {available}\n"
            f"{configuration}\n{run.stalls}\n{found.input}: {layers}\n"
            f"again, alone: pytest '{request.node.nodeid}' --seed {seed} --only {network}"
            f" --networks {request.config.option.networks}"
        )


def test_default_run_has_every_kind_of_configuration():
    drawn = [random_configuration(1, number, simulator) for number, simulator, _ in shares(200)]
    assert {c.program_bits for c in drawn} == {8, 16, 32, 64}
    met = set().union(*map(pairs, drawn))
    assert met == set().union(*map(pairs, technologies()))
    assert {c.activation_words.bit_count() == 1 for c in drawn} == {False, True}
    assert {c.largest_batch for c in drawn} == {1, 2, 4}
    assert {1, 2, 4} <= {c.post_pixels for c in drawn}
    assert {np.sign(c.och - c.ich) for c in drawn} == {-1, 0, 1}
    assert {np.sign(c.rows - c.cols) for c in drawn} == {-1, 0, 1}
    for lanes, most in (
        ("constructor_lanes", lambda c: c.och),
        ("post_lanes", lambda c: min(c.ich, c.och)),
    ):
        assert any(getattr(c, lanes) == 1 < most(c) for c in drawn)
        assert any(getattr(c, lanes) == most(c) > 1 for c in drawn)


def test_shares_add_up():
    for networks in (1, 40, 41, 200, 1000):
        numbers, simulators, sizes = zip(*shares(networks), strict=True)
        assert sum(sizes) == networks
        assert list(numbers) == list(range(len(numbers)))
        assert list(sizes[:-1]) == [NETWORKS[simulator] for simulator in simulators[:-1]]
