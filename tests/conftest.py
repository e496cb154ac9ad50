"""What several folders of tests share: options, trained networks, engines built once."""

import fcntl
import os
import shutil
import signal
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from initial_values import without_initial_values

from hiddenite.boards import top
from hiddenite.golden.network import Network
from hiddenite.rtl.verilog import generate
from hiddenite.sim import board, verify
from hiddenite.sim.simulation import Simulation

pytest_plugins = ["file_times"]

# A shell's background jobs ignore interrupts; so would commands that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

DEFAULT_NETWORKS = 200
DEFAULT_SEED = 1


def pytest_addoption(parser):
    group = parser.getgroup("hiddenite")
    group.addoption(
        "--networks",
        type=int,
        default=DEFAULT_NETWORKS,
        metavar="N",
        help="random networks that are simulated and compared with the golden model; more networks "
        "are drawn for more random configurations, at about one build of a simulator for 20 "
        "networks (default: %(default)s)",
    )
    group.addoption(
        "--seed",
        type=int,
        default=DEFAULT_SEED,
        metavar="S",
        help="seed of the random networks and configurations; the same seed gives the same ones "
        "whatever --networks says (default: %(default)s)",
    )
    group.addoption(
        "--only",
        type=int,
        metavar="K",
        help="of the random networks on each configuration, number K alone",
    )
    group.addoption(
        "--all-images",
        action="store_true",
        help="simulate all images of the trained networks with Icarus, which takes minutes, and "
        "not only the first two (Verilator always simulates all)",
    )
    group.addoption(
        "--exhaustive",
        action="store_true",
        help="run all cases of tests that run a sample without it, the largest engines among "
        "them; what is left out says why when it is skipped",
    )


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "exhaustive(why): run with --exhaustive only, as others cover what it would find"
    )


def pytest_collection_modifyitems(config, items):
    if config.option.exhaustive:
        return
    for item in items:
        if mark := item.get_closest_marker("exhaustive"):
            item.add_marker(pytest.mark.skip(reason=f"with --exhaustive only: {mark.args[0]}"))


def pytest_report_header(config):
    return f"random networks: {config.option.networks}, seed {config.option.seed}"


SHARED = Path(os.environ.get("HIDDENITE_SHARED", Path(__file__).parents[2] / "shared"))
"""Where trained networks lie, which are not part of the project."""


def shared_folder(kind, name, skipped):
    """Find one of the folders outside the project; skips the test if it isn't there."""
    folder = SHARED / kind / name
    if not folder.is_dir():
        pytest.skip(f"{skipped}: no folder {folder}")
    return folder


@pytest.fixture
def trained_folder():
    """Find the folder of a trained network; skips the test if it isn't there."""
    return lambda name: shared_folder("networks", name, f"network {name} is not compared")


@pytest.fixture
def case_folder():
    """Find the folder of a case from the field; skips the test if it isn't there."""
    return lambda name: shared_folder("cases", name, f"case {name} is not tried")


@pytest.fixture
def shared_data():
    """Find a folder of data that others have published; skips the test if it isn't there."""
    return lambda name: shared_folder("data", name, f"models of {name} are not simulated")


@pytest.fixture
def trained(trained_folder):
    """Load a trained network: (network, images, expected); skips the test if it isn't there."""

    def load(name):
        folder = trained_folder(name)
        network = Network.load(folder / "network.safetensors")
        return network, np.load(folder / "images.npy"), np.load(folder / "expected.npy")

    return load


class Engines:
    """Emitted Verilog and simulators, each made once even where several processes run tests."""

    def __init__(self, folder):
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self._simulations = {}

    @contextmanager
    def _alone(self, name):
        with open(self._folder / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def verilog(self, c):
        """Text of a configuration's Verilog."""
        return self.timed_verilog(c)[0]

    def timed_verilog(self, c):
        """Text of a configuration's Verilog and the seconds of processor time it took."""
        name = f"{zlib.crc32(repr(c).encode()):08x}"
        text, seconds = (self._folder / f"{name}.{kind}" for kind in ("v", "seconds"))
        with self._alone(name):
            if not seconds.exists():
                before = sum(os.times()[:4])
                text.write_text(generate(c))
                seconds.write_text(str(sum(os.times()[:4]) - before))
        return text.read_text(), float(seconds.read_text())

    def simulated_verilog(self, c):
        """Text of a configuration's Verilog whose registers and memories have no initial values.

        They are unknown in Icarus, random in Verilator.
        """
        return without_initial_values(self.verilog(c))

    @staticmethod
    def require(simulator):
        """Skip the test if there is no such simulator."""
        if simulator == "icarus" and shutil.which("iverilog") is None:
            pytest.skip("nothing is compared with Icarus Verilog: it is not installed")

    def simulation(self, c, simulator="verilator"):
        """Simulation of `simulated_verilog`; skips the test if there is no such simulator."""
        self.require(simulator)
        if (c, simulator) not in self._simulations:
            text = self.simulated_verilog(c)
            with self._alone(f"{simulator}-{zlib.crc32(text.encode()):08x}"):
                self._simulations[c, simulator] = Simulation(
                    text, word_bits=c.program_bits, lanes=c.post_lanes, simulator=simulator
                )
        return self._simulations[c, simulator]


@pytest.fixture(scope="session")
def engines(tmp_path_factory):
    """Verilog and simulators of configurations, see `Engines`."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    return Engines(folder / "engines")


@pytest.fixture(scope="session", autouse=True)
def generated_once(engines):
    """What simulates an engine or puts it on a board takes its Verilog from `engines`, too.

    To emit it anew each time takes longer than most simulations; tests of `generate` itself do.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module in (verify, board, top):
            patch.setattr(module, "generate", engines.verilog)
        yield
