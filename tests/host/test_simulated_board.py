"""The Python host against the simulated board: the Verilog of the link and of the engine."""

import numpy as np
import pytest
from board_lines import Faults

from hiddenite.compiler.compile import compile_network
from hiddenite.host.board import Board
from hiddenite.rtl.configuration import PRESETS

# Silence is simulated too, at a few hundred thousand cycles a second.
LIMIT = 0.5


def test_results_are_those_of_the_golden_model(digits, simulated):
    network, images, expected = digits
    host = Board(simulated(), limit=LIMIT)
    assert host.info.name == "simulated" and host.configuration is PRESETS["tiny"]
    np.testing.assert_array_equal(host.run(network, images[:3]), expected[:3])
    traffic = host.traffic
    assert (traffic.sessions, traffic.bytes_resent) == (1, 0)
    program = compile_network(network, host.configuration)
    useful = 3 * (len(program.bytes) + program.image_beats(images[0]).nbytes)
    assert traffic.bytes_sent < 1.12 * useful
    # The line is hardly ever idle.
    assert traffic.seconds < 1.2 * useful * 10 / 1_000_000


@pytest.mark.parametrize("seed", range(2))
def test_bad_line(digits, simulated, seed):
    network, images, expected = digits
    faults = [Faults(seed + n, 3e-4, 3e-4, 3e-4) for n in (0, 50)]
    host = Board(simulated(*faults), limit=LIMIT)
    np.testing.assert_array_equal(host.run(network, images[:2]), expected[:2])
    assert host.traffic.bytes_resent and host.traffic.sessions == 1


def test_program_from_memory(digits, simulated):
    network, images, expected = digits
    host = Board(simulated(), limit=LIMIT)
    result = host.run(network, images[:3], from_memory=True)
    np.testing.assert_array_equal(result, expected[:3])
    assert host.traffic.bytes_sent < 1500
    np.testing.assert_array_equal(host.run(network, images[:1]), expected[:1])
