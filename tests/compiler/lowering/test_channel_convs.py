import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS, network_of

from hiddenite.compiler.lowering.channel_convs import MOST_CHANNELS, channel_conv, slices
from hiddenite.golden.inference import infer
from hiddenite.rtl.configuration import PRESETS

SEED = 2**32 - 3


@pytest.mark.parametrize("picks", [range(5), (0, 1, 6, 7, 8), (4,), (3, 3, 0)])
def test_channels_stay_as_they_are(picks):
    conv = channel_conv("a", "image", picks, 9, SEED)
    image = np.random.default_rng(1).integers(0, 256, (2, 3, 9), np.uint8)
    image[0, 0], image[0, 1] = 0, 255
    network = network_of(image.shape, conv, seed=SEED)
    assert (infer(network, image[None])[0] == image[:, :, list(picks)]).all()


def test_scale_and_residual():
    shape = (4, 5, 6)
    first = channel_conv("a", "image", range(6)[::-1], 6, SEED)
    both = channel_conv(
        "b", "image", range(6), 6, SEED, scale=32_767, shift=16, residual="a", residual_scale=30_000
    )
    x = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    right = (x.astype(int) * 32_767 + x[:, :, ::-1].astype(int) * 30_000 + 2**15) >> 16
    found = infer(network_of(shape, first, both, seed=SEED), x[None])[0]
    assert (found == np.minimum(right, 255)).all()


@pytest.mark.parametrize("name", [*CONFIGURATIONS, *PRESETS])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (40, 40)])
def test_slices_are_all_channels_once(name, size):
    c = (CONFIGURATIONS | PRESETS)[name]
    picks = [n + n // 20 * c.ich for n in range(531)]
    found = slices(c, picks, size, 1)
    assert [channel for outputs, _ in found for channel in outputs] == list(range(len(picks)))
    for outputs, inputs in found:
        assert outputs.start % c.ich == inputs.start % c.ich == 0
        assert len(outputs) <= max(MOST_CHANNELS, 2 * c.och, 2 * c.ich)
        assert {picks[channel] for channel in outputs} <= set(inputs)


def test_large_maps_are_worth_more_tables():
    c = PRESETS["tiny"]
    few, many = (slices(c, range(128), size, 1) for size in ((1, 1), (64, 64)))
    assert len(few) < len(many)
    # Images are like a larger map.
    assert len(slices(c, range(128), (4, 4), 1)) <= len(slices(c, range(128), (4, 4), 4))
