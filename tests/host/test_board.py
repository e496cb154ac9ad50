import random

import numpy as np
import pytest
from board_lines import Faults, ModelLine, Nonsense, PtyBoard, Silence
from board_model import BoardModel

from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import infer
from hiddenite.golden.network import Input, MaxPool, Network
from hiddenite.host.board import Board, BoardError
from hiddenite.link.protocol import HEADER, STATUS, BoardState, FrameType, encode
from hiddenite.rtl.configuration import PRESETS, Configuration
from hiddenite.rtl.program.packets import ErrorCode

TINY = PRESETS["tiny"]


def line_to(digits, c=TINY, *, to_board=None, to_host=None, delay=0.0005, **options):
    model = BoardModel(digits[0], c, **options)
    return ModelLine(model, to_board=to_board, to_host=to_host, delay=delay)


@pytest.mark.parametrize("name", PRESETS)
def test_results_are_those_of_the_golden_model(digits, name):
    network, images, expected = digits
    line = line_to(digits, PRESETS[name])
    done = []
    with Board(line) as board:
        assert board.configuration is PRESETS[name] and board.info.name == "model"
        result = board.run(network, images, progress=done.append)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)
        assert done == [1, 2, 3, 4, 5, 6]
        # Again in a new session, which the board does not mistake for the one before.
        np.testing.assert_array_equal(board.run(network, images[:1]), expected[:1])
    assert line.closed and line.board.sessions == 2
    np.testing.assert_array_equal(np.array(line.board.images), [*images, images[0]])


def test_maps_of_bytes(digits):
    network, images, _ = digits
    prefix = network.prefix("layer1.conv")
    line = ModelLine(BoardModel(prefix, TINY, result_buffer=200))
    result = Board(line).run(prefix, images)
    assert result.dtype == np.uint8 and result[0].size * 4 > 65536 // len(images) // 4
    np.testing.assert_array_equal(result, infer(prefix, images))


def test_images_and_maps_of_int8():
    """Their bits go over the line as they are."""
    rng = np.random.default_rng(1)
    image = Input(name="image", height=3, width=5, channels=3, type="int8")
    layers = [MaxPool(name="p", input="image", kernel=(1, 2), padding=(0, 1))]
    network = Network(name="signed", seed=1, input=image, layers=layers)
    images = rng.integers(-128, 128, (4, *image.shape)).astype(np.int8)
    line = ModelLine(BoardModel(network, TINY))
    result = Board(line).run(network, images)
    assert result.dtype == np.int8
    np.testing.assert_array_equal(result, infer(network, images))
    np.testing.assert_array_equal(np.array(line.board.images), images)


def test_batches(digits):
    """Six images in batches of four: the second one is filled up."""
    network, images, expected = digits
    line, done = line_to(digits, batch=4), []
    result = Board(line).run(network, images, batch=4, progress=done.append)
    np.testing.assert_array_equal(result, expected)
    assert done == [4, 6]
    assert line.board.runs == 2 and len(line.board.images) == 8


def test_no_images(digits):
    network, images, expected = digits
    board = Board(line_to(digits))
    assert board.run(network, images[:0]).shape == (0, *expected.shape[1:])
    assert (board.traffic.sessions, board.traffic.bytes_sent) == (0, 0)


def test_offsets_that_wrap_many_times(digits):
    network, images, expected = digits
    line = line_to(digits, to_board=Faults(5, 1e-4, 1e-4, 1e-4))
    result = Board(line).run(network, np.tile(images, (12, 1, 1, 1)))
    np.testing.assert_array_equal(result, np.tile(expected, (12, 1, 1, 1)))
    assert 72 * len(line.board.program_bytes) > 3 * 65536


@pytest.mark.parametrize("buffer", [16, 64, 100, 512, 65535])
@pytest.mark.parametrize("name", ["tiny", "asic"])
def test_buffers_of_any_size(digits, name, buffer):
    network, images, expected = digits
    line = line_to(digits, PRESETS[name], buffer=buffer, result_buffer=128, rate=3e5)
    np.testing.assert_array_equal(Board(line).run(network, images[:2]), expected[:2])


def test_the_line_is_kept_busy(digits):
    network, images, _ = digits
    line = line_to(digits, delay=0.001)
    board = Board(line)
    board.run(network, np.tile(images, (5, 1, 1, 1)))
    traffic = board.traffic
    useful = 30 * (len(line.board.program_bytes) + 128)
    assert traffic.images == 30 and traffic.bytes_resent == 0 and traffic.sessions == 1
    assert traffic.bytes_sent < 1.07 * useful
    assert traffic.bytes_sent * 10 / line.baud > 0.8 * traffic.seconds


@pytest.mark.parametrize("seed", range(60))
def test_right_result_or_clear_error_on_a_bad_line(digits, seed):
    network, images, expected = digits
    rng = random.Random(seed)
    rates = [10 ** rng.uniform(-5, -2) * rng.randrange(2) for _ in range(6)]
    model = BoardModel(
        network,
        PRESETS[rng.choice(list(PRESETS))],
        buffer=rng.choice([64, 256, 1000, 4096]),
        result_buffer=rng.choice([64, 128, 1024]),
        rate=10 ** rng.uniform(4.5, 7),
        compute=10 ** rng.uniform(-5, -1),
        errors={rng.randrange(8): rng.choice(list(ErrorCode)[1:]) for _ in range(rng.randrange(4))},
        restart_after={rng.randrange(200) for _ in range(rng.randrange(3))},
    )
    line = ModelLine(
        model,
        delay=10 ** rng.uniform(-4, -1),
        to_board=Faults(seed, *rates[:3]),
        to_host=Faults(seed + 1000, *rates[3:]),
    )
    try:
        result = Board(line, limit=2.0).run(network, images)
    except (InputError, BoardError) as error:
        assert str(error).startswith("/dev/model: ") and "\n" not in str(error)
        assert max(rates) > 1e-3 or len(model.errors) + len(model.restart_after) >= 4
    else:
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("seed", range(8))
def test_a_moderately_bad_line_always_ends_well(digits, seed):
    network, images, expected = digits
    faults = [Faults(seed + n, 2e-4, 2e-4, 2e-4) for n in (0, 100)]
    line = line_to(digits, to_board=faults[0], to_host=faults[1])
    board = Board(line)
    np.testing.assert_array_equal(board.run(network, images), expected)
    assert board.traffic.bytes_resent and board.traffic.sessions == 1


@pytest.mark.parametrize("delay", [0.03, 0.12, 0.3])
def test_answers_that_come_late(digits, delay):
    """Beyond the margin every answer counts as lost; results are slow, and right."""
    network, images, expected = digits
    line = line_to(digits, delay=delay / 2, buffer=4096)
    np.testing.assert_array_equal(Board(line).run(network, images), expected)


def test_engine_errors_begin_a_new_session(digits):
    network, images, expected = digits
    line = line_to(digits, errors={2: ErrorCode.TIMEOUT, 3: ErrorCode.CHECKSUM, 6: ErrorCode.MAGIC})
    done = []
    board = Board(line)
    np.testing.assert_array_equal(board.run(network, images, progress=done.append), expected)
    assert board.traffic.sessions == 4
    # Images that were done are not sent again.
    assert done == [1, 2, 3, 4, 5, 6]


def test_engine_errors_again_and_again(digits):
    network, images, expected = digits
    line = line_to(digits, errors=dict.fromkeys(range(2, 6), ErrorCode.OPCODE))
    board = Board(line)
    with pytest.raises(BoardError) as caught:
        board.run(network, images)
    assert str(caught.value) == (
        "/dev/model: image 2 failed 4 times: the engine stopped with error OPCODE in layer 3"
    )
    # It goes on with the next run, without a reset.
    np.testing.assert_array_equal(board.run(network, images), expected)


def test_a_board_that_restarts(digits):
    network, images, expected = digits
    line = line_to(digits, restart_after={9, 30})
    board = Board(line)
    np.testing.assert_array_equal(board.run(network, images), expected)
    assert board.traffic.sessions == 3


def test_a_board_that_restarts_all_the_time(digits):
    network, images, _ = digits
    board = Board(line_to(digits, restart_after=set(range(5, 100_000, 6))))
    with pytest.raises(BoardError, match=r"^/dev/model: image 0 failed 4 times: the board has"):
        board.run(network, images)


@pytest.mark.parametrize("way", ["to_board", "to_host"])
def test_silence_in_the_middle(digits, way):
    network, images, _ = digits
    line = line_to(digits, **{way: Faults(silent_after=400)})
    board = Board(line, limit=3.0)
    begin = line.clock()
    with pytest.raises(BoardError) as caught:
        board.run(network, images)
    assert str(caught.value) == "/dev/model: the board has not answered for 3 s"
    assert 3 <= line.clock() - begin < 3.5


def test_no_progress(digits):
    network, images, _ = digits
    board = Board(line_to(digits, compute=1e9), limit=2.0)
    with pytest.raises(BoardError, match=r"^/dev/model: the board has made no progress for 2 s$"):
        board.run(network, images)


def test_an_engine_may_compute_for_longer_than_the_limit(digits, monkeypatch):
    network, images, expected = digits
    monkeypatch.setattr(
        "hiddenite.host.board.estimate", lambda program: type("E", (), {"cycles": 12_000_000 * 8})
    )
    result = Board(line_to(digits, compute=8.0), limit=1.0).run(network, images[:2])
    np.testing.assert_array_equal(result, expected[:2])


def test_program_from_memory(digits):
    network, images, expected = digits
    line = line_to(digits, own_program=True)
    board = Board(line)
    np.testing.assert_array_equal(board.run(network, images, from_memory=True), expected)
    assert board.traffic.bytes_sent < 6 * 128 * 2
    # The program from the link is as good.
    np.testing.assert_array_equal(board.run(network, images), expected)


def test_no_program_in_memory(digits):
    network, images, _ = digits
    with pytest.raises(InputError, match=r"^/dev/model: the board has no program of its own$"):
        Board(line_to(digits)).run(network, images, from_memory=True)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (BoardState.NO_SOURCE, "the board has no program of its own"),
        (BoardState.MEMORY, "what the board has in its memory is no program for it"),
    ],
)
def test_states_of_the_memory(digits, state, message):
    network, images, _ = digits
    line = line_to(digits, own_program=True, state=state)
    with pytest.raises(BoardError, match=f"^/dev/model: {message}$"):
        Board(line).run(network, images, from_memory=True)


@pytest.mark.parametrize("layer", ["layer1.conv", "layer2.conv"])
def test_a_program_of_another_network_in_memory(digits, layer):
    network, images, _ = digits
    other = network.prefix(layer)
    line = line_to(digits, own_program=True, own_network=other)
    with pytest.raises(BoardError, match="failed 4 times: the engine's result is not one of this"):
        Board(line).run(network, images, from_memory=True)


def test_refused_boards(digits):
    other = Configuration(ich=4, och=4, activation_words=64, tile_words=16)
    for line, options, message in [
        (ModelLine(Silence()), {}, "no board answers at 1,000,000 baud within 5 s"),
        (
            ModelLine(Nonsense()),
            {},
            "what answers is no board, or does not run at 1,000,000 baud: no right frame within"
            " 5 s",
        ),
        (
            line_to(digits, version=3),
            {},
            "the board speaks version 3 of the protocol, this program version 2",
        ),
        (
            line_to(digits, fingerprint=0x1234),
            {},
            "the board's engine has fingerprint 0x00001234, which is that of no preset: give its"
            " configuration",
        ),
        (
            line_to(digits),
            {"configuration": other},
            f"the board's engine has fingerprint 0x{TINY.fingerprint:08x}, that of the"
            f" configuration given is 0x{other.fingerprint:08x}",
        ),
    ]:
        begin = line.clock()
        with pytest.raises(InputError) as caught:
            Board(line, **options)
        assert str(caught.value) == f"/dev/model: {message}"
        assert line.closed and line.clock() - begin < 5.5


def test_a_configuration_of_ones_own(digits):
    network, images, expected = digits
    own = Configuration(ich=4, och=8, activation_words=1024, tile_words=256, program_bits=16)
    board = Board(line_to(digits, own), configuration=own)
    np.testing.assert_array_equal(board.run(network, images[:2]), expected[:2])


def test_refused_arguments(digits):
    network, images, _ = digits
    line = line_to(digits)
    with pytest.raises(InputError, match="limit must be more than 0 seconds, not 0"):
        Board(line, limit=0)
    board = Board(line)
    with pytest.raises(InputError, match="must be uint8 of shape"):
        board.run(network, images[0])
    from hiddenite.compiler.compile import compile_network

    program = compile_network(network, PRESETS["up5k"])
    with pytest.raises(InputError, match="the program is for an engine with fingerprint 0x"):
        board.run_program(program, images)


class Liar(BoardModel):
    """Frames are right; what they say is not."""

    lie = None

    def _status(self):
        return self.lie(super()._status())


def lies(rng):
    def lie(body):
        fields = list(STATUS.unpack_from(body, HEADER.size))
        if rng.random() < 0.2:
            at = rng.randrange(len(fields))
            fields[at] = rng.randrange(1 << (8 if at < 2 else 16))
        return body[: HEADER.size] + STATUS.pack(*fields)

    return lie


@pytest.mark.parametrize("seed", range(10))
def test_right_frames_with_wrong_contents_end(digits, seed):
    network, images, expected = digits
    board = Liar(network, TINY)
    board.lie = lies(random.Random(seed))
    line = ModelLine(board)
    try:
        result = Board(line, limit=1.0).run(network, images)
    except BoardError as error:
        assert str(error).startswith("/dev/model: ")
    else:
        np.testing.assert_array_equal(result, expected)
    assert line.clock() < 60


def test_frames_of_other_sessions_and_kinds_are_no_answers(digits):
    network, images, expected = digits

    class Chatty(BoardModel):
        def feed(self, data, now):
            other = self.session ^ 0x80
            odd = [
                HEADER.pack(FrameType.STATUS, other) + STATUS.pack(2, 4, 0, 9, 9, 9, 9, 9),
                HEADER.pack(FrameType.RESULT_DATA, other) + bytes(20),
                HEADER.pack(0x99, self.session) + b"?",
                HEADER.pack(FrameType.RESULT_DATA, self.session),
            ]
            answer = super().feed(data, now)
            return b"".join(map(encode, odd)) + answer if answer else b""

    board = Board(ModelLine(Chatty(network, TINY)))
    np.testing.assert_array_equal(board.run(network, images), expected)


def test_over_a_pseudo_terminal(digits):
    network, images, expected = digits
    with PtyBoard(BoardModel(network, TINY)) as pty, Board(pty.port) as board:
        np.testing.assert_array_equal(board.run(network, images), expected)
        assert board.traffic.sessions == 1


def test_over_a_bad_pseudo_terminal(digits):
    network, images, expected = digits
    faults = [Faults(seed, 3e-4, 3e-4, 3e-4) for seed in (1, 2)]
    with PtyBoard(BoardModel(network, TINY), *faults) as pty, Board(pty.port) as board:
        np.testing.assert_array_equal(board.run(network, images), expected)
