"""The whole link with a real engine, in emitted Verilog, against the golden model."""

import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
from link_helpers import Host, Noise
from rtl_helpers import network_of, random_conv

from hiddenite.cli.demonstration import load_demo
from hiddenite.compiler.compile import compile_network
from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import infer
from hiddenite.link.board_link import LinkParameters
from hiddenite.link.memory_contents import HEADER_BYTES, memory_contents
from hiddenite.link.protocol import BoardState, FrameType, Info, Sources, Status
from hiddenite.rtl.configuration import PRESETS
from hiddenite.rtl.program.packets import ErrorCode
from hiddenite.sim.board import SimulatedBoard

BASE = 0x1000
IMAGES = 4
# A host asks again after milliseconds; the engine has to wait longer than that.
PATIENT = replace(PRESETS["tiny"], timeout_cycles=1 << 22)
SINGLE = replace(PATIENT, post_lanes=1)
WIDE = replace(PATIENT, program_bits=32)


def parameters(c, clock_hz=16_000_000, baud=1_000_000, **fields):
    return LinkParameters(configuration=c, clock_hz=clock_hz, baud=baud, name="simulated", **fields)


class Digits:
    """The demo's network compiled for a configuration."""

    def __init__(self, c):
        network, images, _ = load_demo()
        self.program = compile_network(network, c)
        self.images = [self.program.image_beats(image).tobytes() for image in images[:IMAGES]]
        self.expected = infer(network, images[:IMAGES])
        self.size = 4 * self.program.result_order().size
        self.classes = self.expected[:, 0, 0].argmax(-1).tolist()

    def memory(self):
        return bytes(BASE) + memory_contents(
            self.program.bytes, self.images, fingerprint=self.program.configuration.fingerprint
        )

    def check(self, result, number):
        assert isinstance(result, bytes), result
        beats = np.frombuffer(result, "<i4").reshape(-1, self.program.configuration.post_lanes)
        np.testing.assert_array_equal(self.program.results(beats)[0], self.expected[number])


@pytest.fixture(scope="module")
def digits():
    made = {}
    return lambda c: made.setdefault(c, Digits(c))


@pytest.mark.parametrize(
    ("c", "clock_hz", "baud"),
    [
        pytest.param(SINGLE, 16_000_000, 1_000_000, id="single"),
        pytest.param(WIDE, 16_000_000, 1_000_000, id="wide"),
        pytest.param(
            *(WIDE, 100_000_000, 2_500_000),
            id="fast",
            marks=pytest.mark.exhaustive("test_flash has a host that sends everything so fast"),
        ),
    ],
)
def test_everything_from_the_host(c, clock_hz, baud, digits):
    work = digits(c)
    with SimulatedBoard(parameters(c, clock_hz, baud)) as board:
        host = Host(board)
        info = Info.unpack(host.ask(FrameType.HELLO))
        assert info == (2, c.fingerprint, 511, 255, c.program_bits // 8, c.post_lanes, 0,
                        clock_hz, "simulated")  # fmt: skip
        host.open(1)
        for number in range(IMAGES):
            work.check(host.infer(work.program.bytes, work.images[number], work.size), number)
        assert host.repeated == 0
        # What a board does not have.
        assert host.open(2, Sources.PROGRAM).state == BoardState.NO_SOURCE
        board.advance(10)
        assert board.error
        # A program that is damaged, and one after it in a new session.
        host.open(3)
        damaged = bytearray(work.program.bytes)
        damaged[500] ^= 1
        status = host.infer(bytes(damaged), work.images[0], work.size)
        assert isinstance(status, Status) and status.state == BoardState.ERROR
        assert status.error in (ErrorCode.CHECKSUM, ErrorCode.OPCODE, ErrorCode.TRUNCATED)
        host.open(4)
        work.check(host.infer(work.program.bytes, work.images[0], work.size), 0)


def test_icarus():
    """A network of one layer, in the other simulator."""
    if shutil.which("iverilog") is None:
        pytest.skip("nothing is compared with Icarus Verilog: it is not installed")
    rng = np.random.default_rng(4)
    network = network_of((2, 3, 4), random_conv(rng, 4, 5))
    program = compile_network(network, SINGLE)
    image = rng.integers(0, 256, (1, 2, 3, 4), np.uint8)
    memory = memory_contents(
        program.bytes, [program.image_beats(image[0]).tobytes()], fingerprint=SINGLE.fingerprint
    )
    board_parameters = parameters(SINGLE, flash_base=0)
    with SimulatedBoard(board_parameters, memory, simulator="icarus") as board:
        host = Host(board)
        host.open(1, Sources.PROGRAM)
        result = host.infer(
            None, program.image_beats(image[0]).tobytes(), 4 * program.result_order().size
        )
        beats = np.frombuffer(result, "<i4").reshape(-1, 1)
        np.testing.assert_array_equal(program.results(beats), infer(network, image))


@pytest.mark.parametrize(
    ("chance", "rounds"),
    [
        (0.005, 2),
        pytest.param(
            *(0.001, 12), marks=pytest.mark.exhaustive("more noise does the same more often")
        ),
    ],
)
def test_noise(chance, rounds, digits):
    work = digits(SINGLE)
    rng = random.Random(chance)
    with SimulatedBoard(parameters(SINGLE)) as board:
        noise = Noise(board, rng, chance)
        # Silence is most of what is simulated: the wait is little longer than an exchange.
        host = Host(noise, seconds=1.2e-3, longest=64)
        session = errors = 0
        for number in range(rounds):
            for _ in range(20):
                if session == 0 or errors:
                    session += 1
                    host.open(session)
                result = host.infer(work.program.bytes, work.images[number % IMAGES], work.size)
                errors = isinstance(result, Status)
                if not errors:
                    break
            work.check(result, number % IMAGES)
        assert noise.damage > 50 and host.repeated > 10


def test_nothing_but_noise_then_work(digits):
    work = digits(SINGLE)
    rng = random.Random(3)
    with SimulatedBoard(parameters(SINGLE)) as board:
        board.write(rng.randbytes(3000))
        board.advance(10 * 16 * 3000)
        board.read(10_000, 1e-4)
        host = Host(board)
        host.open(1)
        work.check(host.infer(work.program.bytes, work.images[1], work.size), 1)


@pytest.mark.parametrize(
    ("clock_hz", "baud", "lines", "chip"),
    [
        (16_000_000, 1_000_000, 4, 4),
        # A chip that gives data on fewer lines than the board asks for.
        (16_000_000, 1_000_000, 4, 1),
        pytest.param(
            *(100_000_000, 2_500_000, 2, 2),
            marks=pytest.mark.exhaustive("boards/test_simulation has a flash with two lines"),
        ),
    ],
)
def test_flash(digits, clock_hz, baud, lines, chip):
    work = digits(SINGLE)
    board_parameters = parameters(
        SINGLE, clock_hz, baud, flash_base=BASE, flash_lines=lines, standalone=True
    )
    memory = work.memory()
    with SimulatedBoard(board_parameters, memory, chip_lines=chip) as board:
        # Nothing attached: the images in turn, over and over.
        shown = []
        while len(shown) < 8:
            board.advance(500)
            if not shown or board.number != shown[-1]:
                shown.append(board.number)
            assert not board.error
        classes = [c for i, c in enumerate(work.classes) if c != work.classes[i - 1]]
        shown = shown[shown.index(classes[0]) :][:6]
        assert shown == (classes * 6)[: len(shown)]

        host = Host(board)
        host.open(1, Sources.PROGRAM | Sources.IMAGE)
        for number in range(2 * IMAGES + 1):
            work.check(host.infer(None, None, work.size), number % IMAGES)
        host.open(2, Sources.PROGRAM)
        for number in (2, 0, 3):
            work.check(host.infer(None, work.images[number], work.size), number)
        host.open(3, Sources.IMAGE)
        for number in range(IMAGES + 1):
            work.check(host.infer(work.program.bytes, None, work.size), number % IMAGES)
        host.open(4)
        work.check(host.infer(work.program.bytes, work.images[1], work.size), 1)


@pytest.mark.parametrize("place", ["magic", "header", "program", "image", "image checksum"])
def test_damaged_flash(place, digits):
    work = digits(SINGLE)
    memory = bytearray(work.memory())
    program, image = len(work.program.bytes), len(work.images[0])
    begin = BASE + HEADER_BYTES + program
    at = {
        "magic": BASE + 1,
        "header": BASE + 5,
        "program": BASE + HEADER_BYTES + 600,
        "image": begin + image - 1,
        "image checksum": begin + image + 2,
    }[place]
    memory[at] ^= 8
    board_parameters = parameters(SINGLE, flash_base=BASE, flash_lines=4, standalone=True)
    with SimulatedBoard(board_parameters, memory) as board:
        host = Host(board)
        host.open(1, Sources.PROGRAM | Sources.IMAGE)
        status = host.infer(None, None, work.size)
        assert isinstance(status, Status)
        assert status.state == (BoardState.ERROR if place == "program" else BoardState.MEMORY)
        assert status.result_end == 0 and board.error
        host.open(2)
        work.check(host.infer(work.program.bytes, work.images[3], work.size), 3)


def test_blank_flash(digits):
    work = digits(SINGLE)
    # As large as others, so that the simulator is the same.
    blank = b"\xff" * len(work.memory())
    board_parameters = parameters(SINGLE, flash_base=BASE, flash_lines=4, standalone=True)
    with SimulatedBoard(board_parameters, blank) as board:
        board.advance(5000)
        assert board.error and not board.running
        host = Host(board)
        host.open(1)
        work.check(host.infer(work.program.bytes, work.images[2], work.size), 2)


def test_rom(digits):
    work = digits(WIDE)
    with SimulatedBoard(parameters(WIDE, program=work.program.bytes)) as board:
        host = Host(board)
        host.open(1, Sources.PROGRAM)
        for number in range(IMAGES):
            work.check(host.infer(None, work.images[number], work.size), number)
        assert host.open(2, Sources.IMAGE).state == BoardState.NO_SOURCE


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"name": ""}, "link: name must be 1 to 32 characters of ASCII, not ''"),
        ({"clock_hz": 0}, "link: clock_hz must be 1 to 4294967295, not 0"),
        ({"baud": "fast"}, "link: baud must be an integer, not 'fast'"),
        (
            {"flash_base": 4097},
            "link: flash_base must be a multiple of 4096 from 0 to 16773120, not 4097",
        ),
        ({"flash_lines": 3}, "link: flash_lines must be 1, 2 or 4, not 3"),
        ({"program": b""}, "link: program must have at least 1 byte, not 0"),
        ({"standalone": True}, "link: standalone needs a flash: flash_base must not be None"),
        (
            {"standalone": True, "flash_base": 0, "configuration": PRESETS["tiny"]},
            "link: standalone needs a configuration with post_lanes 1, not 2",
        ),
    ],
)
def test_wrong_parameters(fields, message):
    right = {"configuration": SINGLE, "clock_hz": 24_000_000, "name": "board"}
    with pytest.raises(InputError) as caught:
        LinkParameters(**right | fields)
    assert str(caught.value) == message
