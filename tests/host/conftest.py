from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from board_lines import Faults

from hiddenite.compiler.compile import compile_network
from hiddenite.golden.inference import infer
from hiddenite.golden.network import Network
from hiddenite.link.board_link import LinkParameters
from hiddenite.rtl.configuration import PRESETS
from hiddenite.sim.board import SimulatedBoard

# A piece that is sent again may come later than the preset waits; the fingerprint is the same.
PATIENT = replace(PRESETS["tiny"], timeout_cycles=1 << 24)


class SimulatedLine:
    """Transport to a simulated board; its clock is that of the board."""

    name = "/dev/simulated"

    def __init__(self, board, to_board=None, to_host=None):
        self.board = board
        self.baud = board.parameters.baud
        self.to_board, self.to_host = to_board or Faults(), to_host or Faults()

    def write(self, data):
        self.board.write(self.to_board.pass_on(data))

    def read(self, timeout):
        data = self.board.read(1, timeout)
        # What has come besides takes no more time.
        return self.to_host.pass_on(data + self.board.read(4096, 0))

    def clock(self):
        return self.board.cycle / self.board.parameters.clock_hz

    def close(self):
        pass


@pytest.fixture(scope="session")
def digits():
    """The demo's network, six images, and what the golden model makes of them."""
    demo = resources.files("hiddenite.cli") / "demo"
    with resources.as_file(demo) as folder:
        network = Network.load(folder / "digits.safetensors")
        images = np.load(folder / "images.npy")[:6]
    return network, images, infer(network, images)


@pytest.fixture(scope="module")
def simulated(digits):
    """Give a line to the simulated board, which has the network in its memory too."""
    parameters = LinkParameters(
        configuration=PATIENT,
        clock_hz=16_000_000,
        baud=1_000_000,
        name="simulated",
        program=compile_network(digits[0], PATIENT).bytes,
    )
    with SimulatedBoard(parameters) as board:
        yield lambda *faults: SimulatedLine(board, *faults)
