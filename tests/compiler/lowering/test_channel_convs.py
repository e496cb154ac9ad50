import numpy as np
import pytest
from rtl_helpers import network_of

from hiddenite.compiler.lowering.channel_convs import channel_conv
from hiddenite.golden.inference import infer

SEED = 2**32 - 3


@pytest.mark.parametrize("picks", [range(5), (0, 1, 6, 7, 8), (4,), (3, 3, 0)])
def test_channels_stay_as_they_are(picks):
    conv = channel_conv("a", "image", np.array(picks), 9, SEED)
    image = np.random.default_rng(1).integers(0, 256, (2, 3, 9), np.uint8)
    image[0, 0], image[0, 1] = 0, 255
    network = network_of(image.shape, conv, seed=SEED)
    assert (infer(network, image[None])[0] == image[:, :, list(picks)]).all()


def test_scale_and_residual():
    shape = (4, 5, 6)
    first = channel_conv("a", "image", np.arange(6)[::-1], 6, SEED)
    both = channel_conv(
        "b",
        "image",
        np.arange(6),
        6,
        SEED,
        scale=32_767,
        shift=16,
        residual="a",
        residual_scale=30_000,
    )
    x = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    right = (x.astype(int) * 32_767 + x[:, :, ::-1].astype(int) * 30_000 + 2**15) >> 16
    found = infer(network_of(shape, first, both, seed=SEED), x[None])[0]
    assert (found == np.minimum(right, 255)).all()
