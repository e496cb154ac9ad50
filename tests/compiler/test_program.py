import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS, RANGES, compiled, network_of, random_conv

from hiddenite.compiler.compile import compile_network
from hiddenite.golden.network import MaxPool

SHAPES = [(1, 1, 1), (3, 5, 9), (4, 4, 16), (7, 2, 3)]


def programs(shape, c):
    """Programs whose results, of this shape, come from pools, and one from a conv."""
    pool = MaxPool(name="pool", input="image", kernel=1)
    conv = random_conv(np.random.default_rng(1), 2, shape[2], output="int32")
    pools = (compiled(shape, pool, c=c, kind=kind) for kind in ("uint8", "int8"))
    return *pools, compiled((*shape[:2], 2), conv, c=c)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_result_order_has_every_value_once(name, shape):
    c = CONFIGURATIONS[name]
    for program in programs(shape, c):
        order = program.result_order()
        assert order.shape[1] == c.post_lanes
        assert sorted(order[order >= 0]) == list(range(np.prod(shape)))
        # A beat without any channel is not sent, and channels come first.
        assert (order[:, 0] >= 0).all()
        assert (np.diff((order >= 0).astype(int), axis=1) <= 0).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_result_is_put_together_from_its_beats(name, shape):
    rng = np.random.default_rng(2)
    for program in programs(shape, CONFIGURATIONS[name]):
        low, high = RANGES[program.result_type]
        result = rng.integers(low, high + 1, shape).astype(program.result_type)
        order = program.result_order()
        beats = np.where(order >= 0, result.reshape(-1)[order], -1).astype(np.int32)
        (found,) = program.results(beats)
        assert found.dtype == result.dtype
        assert (found == result).all()


def test_result_order_of_a_known_case():
    c = CONFIGURATIONS["square"]  # tiles of 2x2 pixels, 4 channels at a time
    pool = MaxPool(name="pool", input="image", kernel=1)
    order = compiled((3, 2, 5), pool, c=c).result_order()
    pixels = [0, 5, 10, 15, 20, 25]
    four = [[p, p + 1, p + 2, p + 3] for p in pixels]
    assert order.tolist() == four + [[p + 4, -1, -1, -1] for p in pixels]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_image_beats(name, shape):
    c = CONFIGURATIONS[name]
    program, *_ = programs(shape, c)
    image = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    beats = program.image_beats(image)
    each = -(-shape[2] // c.post_lanes)
    assert beats.shape == (shape[0] * shape[1] * each, c.post_lanes)
    pixels = beats.reshape(*shape[:2], each * c.post_lanes)
    assert (pixels[:, :, : shape[2]] == image).all()
    assert not pixels[:, :, shape[2] :].any()
    assert (program.image_beats(image.view(np.int8)) == beats).all()


def test_batches_are_filled_up_with_the_last_image():
    pool = MaxPool(name="pool", input="image", kernel=1)
    network, images = network_of((1, 1, 1), pool), np.arange(5).reshape(5, 1, 1, 1)
    program = compile_network(network, CONFIGURATIONS["wide"], batch=2)
    found = [own.reshape(-1).tolist() for own in program.batches(images)]
    assert found == [[0, 1], [2, 3], [4, 4]]
    assert program.batches(images[:0]) == []


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_bytes_are_the_words_least_significant_first(name):
    c = CONFIGURATIONS[name]
    program, *_ = programs((2, 2, 2), c)
    size = c.program_bits // 8
    assert program.bytes == b"".join(int(w).to_bytes(size, "little") for w in program.words)
    assert program.bytes[:4] == b"HDNT"
