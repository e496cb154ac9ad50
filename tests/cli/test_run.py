import contextlib
import json
import os
import pty
import tty

import numpy as np
import pytest
import serial
from board_lines import Faults, Nonsense, PtyBoard, Silence
from board_model import BoardModel

from hiddenite.golden.inference import infer
from hiddenite.golden.network import Input, MaxPool, Network
from hiddenite.host.board import Board
from hiddenite.link.protocol import BoardState
from hiddenite.rtl.configuration import PRESETS, load_configuration
from hiddenite.rtl.program.packets import ErrorCode

TINY = PRESETS["tiny"]


@pytest.fixture
def port(network):
    """Start a model of a board; returns its port."""
    with contextlib.ExitStack() as stack:

        def port(board=None, to_board=None, to_host=None, **options):
            board = board or BoardModel(network, TINY, **options)
            return stack.enter_context(PtyBoard(board, to_board, to_host)).port

        yield port


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """What does not answer is given up soon."""
    monkeypatch.setitem(Board.__init__.__kwdefaults__, "limit", 0.8)


def test_run(run, here, port, network, network_path, images, images_path):
    name = port()
    ran = run("run", network_path, images_path, "--port", name, "-o", "r.npy", "--verify")
    assert (ran.status, ran.err) == (0, "")
    expected = infer(network, images[:3])
    result = np.load("r.npy")
    np.testing.assert_array_equal(result, expected)
    assert result.dtype == np.int32
    lines = ran.out.splitlines()
    assert lines[0] == f"digits on tiny, 4 x 4 x 2 x 2 = 64 PEs, on model at {name}"
    rows = [line.split() for line in lines[3:6]]
    values = expected[:, 0, 0]
    assert rows == [[str(i), str(values[i].argmax()), f"{values[i].max():,}"] for i in range(3)]
    assert lines[6] == "3 images: bit-exact, the board equals the golden model"
    assert " images a second; 3," in lines[7] and "bytes sent and " in lines[7]
    assert len(lines) == 8 and [path.name for path in here.iterdir()] == ["r.npy"]


def test_json_and_labels(run, here, port, network_path, network, images, images_path):
    classes = infer(network, images[:3])[:, 0, 0].argmax(-1)
    np.save("labels.npy", classes + np.array([0, 1, 0]))
    arguments = ["run", network_path, images_path, "--port", port(), "--labels", "labels.npy"]
    facts = json.loads(run(*arguments, "--json").out)
    assert (facts["right"], facts["accuracy"]) == (2, 2 / 3) and facts["classes"] == [
        str(c) for c in classes
    ]
    assert (facts["board"], facts["configuration"], facts["images"]) == ("model", "tiny", 3)
    assert facts["equal"] is None and facts["difference"] is None
    assert facts["images_per_second"] > 0 and facts["bytes_resent"] == 0 and facts["sessions"] == 1
    assert 2816 < facts["bytes_sent_per_image"] < 3700
    out = run(*arguments).out
    assert "\n2 of 3 classes are right, 66.67%\n" in out and "bit-exact" not in out


def test_maps(run, here, port, network, images, images_path):
    prefix = network.prefix("layer1.conv")
    prefix.save("n")
    name = port(BoardModel(prefix, TINY))
    ran = run("run", "n", images_path, "--port", name, "-o", "r.npy", "--verify")
    assert (ran.status, ran.err) == (0, "")
    np.testing.assert_array_equal(np.load("r.npy"), infer(prefix, images[:3]))
    assert "class" not in ran.out


def test_signed_images(run, here, port):
    image = Input(name="image", height=2, width=3, channels=3, type="int8")
    layers = [MaxPool(name="p", input="image", kernel=(1, 2), padding=(0, 1))]
    network = Network(name="signed", seed=1, input=image, layers=layers)
    network.save("n")
    images = np.random.default_rng(1).integers(-128, 128, (3, 2, 3, 3)).astype(np.int8)
    np.save("x.npy", images)
    name = port(BoardModel(network, TINY))
    ran = run("run", "n", "x.npy", "--port", name, "-o", "r.npy", "--verify")
    assert (ran.status, ran.err) == (0, "")
    result = np.load("r.npy")
    assert result.dtype == np.int8
    np.testing.assert_array_equal(result, infer(network, images))


def test_program_from_memory(run, port, network_path, images_path):
    name = port(own_program=True)
    arguments = ["run", network_path, images_path, "--port", name, "--verify", "--json"]
    facts = json.loads(run(*arguments, "--from-memory").out)
    assert facts["equal"] and facts["bytes_sent_per_image"] < 600


def test_own_configuration(run, here, port, network, network_path, images_path):
    (here / "mine.toml").write_text("ich = 4\noch = 8\nactivation_words = 1024\ntile_words = 256\n")
    own = load_configuration("mine.toml")
    name = port(BoardModel(network, own))
    arguments = ["run", network_path, images_path, "--port", name, "--verify"]
    ran = run(*arguments, "--config", "mine.toml")
    assert ran.status == 0 and "digits on mine.toml, 4 x 8 x 1 x 1 = 32 PEs" in ran.out
    ran = run(*arguments)
    assert ran.status == 2 and "give its configuration" in ran.err


def test_a_bad_line(run, port, network_path, images_path):
    name = port(to_board=Faults(1, 1e-3), errors={1: ErrorCode.CHECKSUM})
    ran = run("run", network_path, images_path, "--port", name, "--verify")
    assert (ran.status, ran.err) == (0, "")
    assert " bytes sent again, 2 sessions\n" in ran.out and "bit-exact" in ran.out


def test_a_board_that_is_wrong(run, here, port, network, network_path, images, images_path):
    class Wrong(BoardModel):
        def _compute(self):
            super()._compute()
            if self.runs == 2:
                self.pending = self.pending[:12] + b"\x07\0\0\0" + self.pending[16:]

    right = infer(network, images[:3])[1, 0, 0, 3]
    name = port(Wrong(network, TINY))
    arguments = ["run", network_path, images_path, "--port", name, "-o", "r.npy", "--verify"]
    ran = run(*arguments)
    assert ran.status == 1 and "3 images: NOT bit-exact, the board differs" in ran.out
    layer = network.layers[-1].name
    assert ran.err == (
        f"hiddenite: image 1: layer '{layer}' differs first at y 0, x 0, channel 3:"
        f" expected {right}, got 7\n"
    )
    assert not list(here.iterdir())
    facts = json.loads(run(*arguments[:5], "--verify", "--json").out)
    assert facts["equal"]  # it was wrong only once


def test_engine_that_fails(run, here, port, network_path, images_path):
    name = port(errors=dict.fromkeys(range(9), ErrorCode.OPCODE))
    ran = run("run", network_path, images_path, "--port", name, "-o", "r.npy")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == (
        f"hiddenite: {name}: image 0 failed 4 times: the engine stopped with error OPCODE in layer"
        " 3\n"
    )
    assert not list(here.iterdir())


def test_refused_ports(refused, here, port, network_path, images_path):
    (here / "file").touch()
    master, slave = pty.openpty()
    tty.setraw(slave)
    busy = os.ttyname(slave)
    holder = serial.Serial(busy, exclusive=True)
    silent, nonsense, other = port(Silence()), port(Nonsense()), port()
    arguments = ["run", network_path, images_path, "-o", "r.npy", "--port"]
    up5k = PRESETS["up5k"].fingerprint
    for name, message in [
        ("/dev/none", "there is no such port"),
        ("file", "is no serial port"),
        (busy, "another program uses it"),
        (silent, "no board answers at 1,000,000 baud within 0.8 s"),
        (
            nonsense,
            "what answers is no board, or does not run at 1,000,000 baud: no right frame within"
            " 0.8 s",
        ),
    ]:
        assert refused(*arguments, name) == f"{name}: {message}"
    assert refused(*arguments, other, "--config", "up5k") == (
        f"{other}: the board's engine has fingerprint 0x{TINY.fingerprint:08x}, that of the"
        f" configuration given is 0x{up5k:08x}"
    )
    assert refused(*arguments, other, "--from-memory") == (
        f"{other}: the board has no program of its own"
    )
    assert refused(*arguments, other, "--baud", "0").startswith("invalid value for '--baud': ")
    assert [path.name for path in here.iterdir()] == ["file"]
    holder.close()
    os.close(slave)
    os.close(master)


def test_silence_in_the_middle(run, here, port, network_path, images_path):
    name = port(to_host=Faults(silent_after=300))
    ran = run("run", network_path, images_path, "--port", name, "-o", "r.npy")
    assert ran.status == 1 and not list(here.iterdir())
    assert ran.err.startswith(f"hiddenite: {name}: the board has not answered for 0.8")


def test_board_without_a_program(run, port, network_path, images_path):
    name = port(own_program=True, state=BoardState.MEMORY)
    ran = run("run", network_path, images_path, "--port", name, "--from-memory")
    assert ran.status == 1
    assert ran.err == (
        f"hiddenite: {name}: what the board has in its memory is no program for it\n"
    )


def test_port_is_needed(refused, network_path, images_path):
    assert refused("run", network_path, images_path) == "missing option '--port'"
