"""The C host against the model of a board: the same faults as the Python host."""

import ctypes
import random
import re
import shutil
import subprocess
from ctypes import byref, c_void_p
from importlib import resources
from itertools import product

import numpy as np
import pytest
from board_lines import Faults, ModelLine, Nonsense, PtyBoard, Silence
from board_model import BoardModel
from c_host import PROGRAM_READ, Host, Program, Shape, load

from hiddenite.compiler.compile import compile_network
from hiddenite.golden.inference import infer
from hiddenite.link.protocol import BoardState
from hiddenite.rtl.configuration import PRESETS
from hiddenite.rtl.program.packets import ErrorCode

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")

TINY = PRESETS["tiny"]
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-O1"]


@pytest.fixture(scope="module")
def sources():
    with resources.as_file(resources.files("hiddenite.host") / "c") as folder:
        yield folder


@pytest.fixture(scope="module")
def library(sources, tmp_path_factory):
    path = tmp_path_factory.mktemp("c") / "hiddenite.so"
    # Undefined behaviour ends the test's process.
    trap = ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
    source = str(sources / "hiddenite.c")
    subprocess.run(
        ["gcc", "-std=c99", *STRICT, *trap, "-shared", "-fPIC", "-o", str(path), source], check=True
    )
    return load(path)


@pytest.fixture(scope="module")
def errors(sources):
    """Names of the error codes, from the header."""
    text = (sources / "hiddenite.h").read_text()
    body = re.search(r"enum hiddenite_error \{(.*?)\};", text, re.S)[1]
    return re.findall(r"HIDDENITE_(\w+)", re.sub(r"/\*.*?\*/", "", body, flags=re.S))


@pytest.fixture
def host(library, errors, digits):
    def host(line=None, c=TINY, **options):
        line = line or ModelLine(BoardModel(digits[0], c, **options))
        made = Host(library, errors, line)
        made.program = compile_network(digits[0], c)
        made.count = made.program.result_order().size
        return made

    return host


def run_all(host, images, expected):
    """Run images; returns the name of the first error."""
    for image, right in zip(images, expected, strict=True):
        error, values = host.run(image, host.program.bytes)
        if error != "OK":
            return error
        np.testing.assert_array_equal(values[: right.size], right.reshape(-1))
    return "OK"


def test_compiles_as_c_and_as_cpp(sources, tmp_path):
    for language in (["gcc", "-std=c99"], ["g++", "-std=c++11", "-x", "c++"]):
        for name in ("hiddenite.c", "example.c"):
            if language[0] == "g++" and name == "example.c":
                continue
            command = [*language, *STRICT, "-c", str(sources / name), "-o", str(tmp_path / "o")]
            subprocess.run(command, check=True)
    symbols = subprocess.run(
        ["nm", "-u", str(tmp_path / "o")], capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(symbols) <= {"U", "memcpy", "memset", "memcmp", "memmove", "_GLOBAL_OFFSET_TABLE_"}


def test_size_of_the_state(sources, tmp_path):
    (tmp_path / "size.c").write_text(
        '#include "hiddenite.h"\nchar enough[sizeof(struct hiddenite) <= 1400 ? 1 : -1];\n'
    )
    command = ["gcc", "-c", f"-I{sources}", str(tmp_path / "size.c"), "-o", str(tmp_path / "o")]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("name", PRESETS)
def test_results_are_those_of_the_golden_model(host, digits, name):
    _, images, expected = digits
    h = host(c=PRESETS[name])
    assert h.hello() == "OK"
    info = h.head.info
    assert (info.name, info.fingerprint) == (b"model", PRESETS[name].fingerprint)
    assert (info.program_buffer, info.clock_hz) == (1024, 12_000_000)
    assert run_all(h, images, expected) == "OK"
    assert (h.head.sessions, h.head.bytes_resent) == (1, 0)
    np.testing.assert_array_equal(np.array(h.line.board.images), images)


def test_a_program_that_is_read(host, digits):
    _, images, expected = digits
    h = host()
    h.hello()
    whole = h.program.bytes

    @PROGRAM_READ
    def read(_, offset, data, length):
        assert offset + length <= len(whole)
        ctypes.memmove(data, whole[offset : offset + length], length)
        return 0

    error, values = h.run(images[0], Program(None, len(whole), read, None))
    assert error == "OK"
    np.testing.assert_array_equal(values, expected[0].reshape(-1))
    failing = Program(None, len(whole), PROGRAM_READ(lambda *_: -1), None)
    assert h.run(images[0], failing)[0] == "LINE"


def test_many_images_wrap_all_offsets(host, digits):
    _, images, expected = digits
    h = host(ModelLine(BoardModel(digits[0], TINY), to_host=Faults(1, 1e-4, 1e-4, 1e-4)))
    h.hello()
    for _ in range(8):
        assert run_all(h, images, expected) == "OK"
    assert h.head.sessions == 1


@pytest.mark.parametrize("layer", ["layer1.conv", "layer2.conv"])
@pytest.mark.parametrize("name", PRESETS)
def test_maps_are_brought_into_order(library, errors, digits, name, layer):
    network, images, _ = digits
    c = PRESETS[name]
    prefix = network.prefix(layer)
    h = Host(library, errors, ModelLine(BoardModel(prefix, c)))
    h.hello()
    program = compile_network(prefix, c)
    height, width, channels = program.result_shape
    shape = Shape(height, width, channels, c.och, c.rows, c.cols, c.post_lanes)
    count = library.hiddenite_result_count(byref(shape))
    assert count == program.result_order().size
    error, values = h.run(images[0], program.bytes, count)
    assert error == "OK"
    arranged = np.zeros(program.result_shape, np.int32)
    pointer = c_void_p
    library.hiddenite_arrange(
        byref(shape), values.ctypes.data_as(pointer), arranged.ctypes.data_as(pointer)
    )
    np.testing.assert_array_equal(arranged, infer(prefix, images[:1])[0])


@pytest.mark.parametrize("seed", range(12))
def test_shapes_that_fill_nothing(library, seed):
    rng = np.random.default_rng(seed)
    lanes = 2 ** rng.integers(4)
    shape = Shape(
        *rng.integers(1, 20, 2), rng.integers(1, 40), lanes * 2 ** rng.integers(3),
        *(2 ** rng.integers(3, size=2)), lanes, rng.integers(4),
    )  # fmt: skip
    height, width, channels, tile, rows, columns, lanes, images = (
        getattr(shape, name) for name, _ in Shape._fields_
    )
    order = []
    images = max(1, images)
    for t, image in product(range(0, channels, tile), range(images)):
        for ty, tx in product(range(0, height, rows), range(0, width, columns)):
            for y in range(ty, min(ty + rows, height)):
                for x in range(tx, min(tx + columns, width)):
                    last = min(t + tile, t + -(-(channels - t) // lanes) * lanes)
                    order += [(image, y, x, channel) for channel in range(t, last)]
    assert library.hiddenite_result_count(byref(shape)) == len(order)
    values = rng.integers(-(2**31), 2**31, (images, height, width, channels), dtype=np.int32)
    stream = np.array([values[p] if p[3] < channels else 7 for p in order], np.int32)
    out = np.zeros_like(values)
    pointer = c_void_p
    library.hiddenite_arrange(
        byref(shape), stream.ctypes.data_as(pointer), out.ctypes.data_as(pointer)
    )
    np.testing.assert_array_equal(out, values)


@pytest.mark.parametrize("seed", range(60))
def test_right_result_or_error_on_a_bad_line(library, errors, digits, seed):
    network, images, expected = digits
    rng = random.Random(seed)
    rates = [10 ** rng.uniform(-5, -2) * rng.randrange(2) for _ in range(6)]
    c = PRESETS[rng.choice(list(PRESETS))]
    model = BoardModel(
        network,
        c,
        buffer=rng.choice([64, 256, 1000, 4096]),
        result_buffer=rng.choice([64, 128, 1024]),
        rate=10 ** rng.uniform(4.5, 7),
        compute=10 ** rng.uniform(-5, -1),
        errors={rng.randrange(8): rng.choice(list(ErrorCode)[1:]) for _ in range(rng.randrange(4))},
        restart_after={rng.randrange(200) for _ in range(rng.randrange(3))},
    )
    faults = [Faults(seed, *rates[:3]), Faults(seed + 1000, *rates[3:])]
    line = ModelLine(model, delay=10 ** rng.uniform(-4, -1), to_board=faults[0], to_host=faults[1])
    h = Host(library, errors, line, seed)
    h.head.limit_ms = 2000
    h.program = model.program
    h.count = model.program.result_order().size
    error = h.hello()
    if error == "OK":
        error = run_all(h, images, expected)
    if max(rates) < 1e-3 and len(model.errors) + len(model.restart_after) < 4:
        assert error == "OK"
    assert line.clock() < 300


@pytest.mark.parametrize("delay", [0.03, 0.12, 0.3])
def test_answers_that_come_late(host, digits, delay):
    network, images, expected = digits
    h = host(ModelLine(BoardModel(network, TINY, buffer=4096), delay=delay / 2))
    assert h.hello() == "OK"
    assert run_all(h, images, expected) == "OK"


def test_the_line_is_kept_busy(host, digits):
    network, images, expected = digits
    h = host(ModelLine(BoardModel(network, TINY), delay=0.001))
    h.hello()
    begin = h.line.clock()
    assert run_all(h, images, expected) == "OK"
    useful = len(images) * (len(h.program.bytes) + 128)
    assert useful * 10 / 1e6 > 0.7 * (h.line.clock() - begin)


def test_engine_errors(host, library, digits):
    _, images, expected = digits
    h = host(errors={1: ErrorCode.TIMEOUT, 2: ErrorCode.MAGIC})
    h.hello()
    assert run_all(h, images, expected) == "OK" and h.head.sessions == 3
    h = host(errors=dict.fromkeys(range(2, 6), ErrorCode.TRAILING))
    h.hello()
    assert run_all(h, images, expected) == "ENGINE"
    assert (h.head.engine_error, h.head.engine_layer) == (ErrorCode.TRAILING, 3)
    for code in ErrorCode:
        assert library.hiddenite_engine_error_name(code).decode() == code.name
    # It goes on with the next run.
    assert run_all(h, images, expected) == "OK"


def test_restarts(host, digits):
    _, images, expected = digits
    h = host(restart_after={9, 30})
    h.hello()
    assert run_all(h, images, expected) == "OK" and h.head.sessions == 3
    h = host(restart_after=set(range(5, 10_000, 6)))
    h.hello()
    assert run_all(h, images, expected) == "RESTARTED"


def test_silence_in_the_middle(host, digits):
    network, images, expected = digits
    line = ModelLine(BoardModel(network, TINY), to_board=Faults(silent_after=400))
    h = host(line)
    h.hello()
    h.head.limit_ms = 3000
    begin = line.clock()
    assert run_all(h, images, expected) == "SILENT"
    assert 3 <= line.clock() - begin < 3.5


def test_what_boards_and_lines_do(host, digits):
    _, images, expected = digits
    assert host(ModelLine(Silence())).hello() == "NO_ANSWER"
    assert host(ModelLine(Nonsense())).hello() == "NO_BOARD"
    assert host(version=3).hello() == "VERSION"
    h = host(compute=1e9)
    h.hello()
    assert run_all(h, images, expected) == "NO_PROGRESS"
    h = host(fingerprint=1)
    h.hello()
    assert run_all(h, images, expected) == "CONFIGURATION"
    h = host()
    h.hello()
    assert h.run(images[0], b"")[0] == "NO_SOURCE"
    for state in (BoardState.NO_SOURCE, BoardState.MEMORY):
        h = host(own_program=True, state=state)
        h.hello()
        assert h.run(images[0], b"")[0] == state.name
    h = host()
    h.fail = True
    assert h.hello() == "LINE"


def test_program_from_memory(host, digits):
    _, images, expected = digits
    h = host(own_program=True)
    h.hello()
    for image, right in zip(images, expected, strict=True):
        error, values = h.run(image, b"")
        assert error == "OK"
        np.testing.assert_array_equal(values, right.reshape(-1))
    assert h.head.sessions == 1
    assert run_all(h, images, expected) == "OK" and h.head.sessions == 2


def test_refused_arguments(host, digits):
    _, images, _ = digits
    h = host()
    program = h.program.bytes
    assert h.run(images[0], program)[0] == "ARGUMENT"  # before hello
    h.hello()
    assert h.run(images[0], b"HDN")[0] == "ARGUMENT"
    assert h.run(images[0], b"x" * 100)[0] == "ARGUMENT"
    assert h.run(images[0], program, 0)[0] == "ARGUMENT"
    assert h.run(images[0], program, 9)[0] == "ARGUMENT"
    assert h.run(images[0][:0], program)[0] == "ARGUMENT"
    assert h.run(images[0], program)[0] == "OK"
    # An image or a result of another size than the program's.
    assert h.run(images[0][:4], program)[0] == "ENGINE"
    assert h.head.engine_error == ErrorCode.IMAGE_SHORT
    assert h.run(images[0], program, 8)[0] == "RESULT_SIZE"


def test_texts(library, errors):
    texts = [library.hiddenite_error_text(n).decode() for n in range(len(errors))]
    assert errors[0] == "OK" and len(set(texts)) == len(errors) and "unknown error" not in texts
    assert library.hiddenite_error_text(len(errors)) == b"unknown error"
    assert library.hiddenite_engine_error_name(99) == b"unknown"


def test_example_program(sources, tmp_path, digits):
    network, images, expected = digits
    sources = [str(sources / name) for name in ("example.c", "hiddenite.c")]
    command = ["gcc", "-std=c99", *STRICT, "-o", str(tmp_path / "example"), *sources]
    subprocess.run(command, check=True)
    (tmp_path / "program").write_bytes(compile_network(network, TINY).bytes)
    with PtyBoard(BoardModel(network, TINY)) as pty:
        ran = subprocess.run(
            [tmp_path / "example", pty.port, tmp_path / "program", "64", "1", "10"],
            input=images.tobytes(),
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (0, b"")
    values = [[int(v) for v in line.split()] for line in ran.stdout.splitlines()]
    np.testing.assert_array_equal(values, expected.reshape(len(images), -1))
    ran = subprocess.run([tmp_path / "example"], capture_output=True, check=False)
    assert ran.returncode == 2 and ran.stderr.startswith(b"usage: ")


def test_simulated_board(library, errors, digits, simulated):
    """The Verilog of the link and of the engine, on a line that loses and changes bytes."""
    _, images, expected = digits
    faults = [Faults(n, 2e-4, 2e-4, 2e-4) for n in (0, 50)]
    h = Host(library, errors, simulated(*faults))
    h.head.limit_ms = 500
    assert h.hello() == "OK" and h.head.info.name == b"simulated"
    h.program = compile_network(digits[0], TINY)
    h.count = h.program.result_order().size
    assert run_all(h, images[:2], expected[:2]) == "OK"
    error, values = h.run(images[2], b"")
    assert error == "OK"
    np.testing.assert_array_equal(values, expected[2].reshape(-1))
