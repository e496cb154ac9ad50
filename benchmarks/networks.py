"""Networks to measure with that need no files."""

import numpy as np

from hiddenite.golden.network import Conv, Input, Network

__all__ = ["deep_network"]


def deep_network(
    *, layers: int = 8, channels: int = 64, size: int = 16, density: float = 0.3, seed: int = 1
) -> tuple[Network, np.ndarray]:
    """Stack of 3x3 convs with random masks on one map, and an image for it.

    Every layer has as many output as input channels, so its ideal time is that of the array:
    weights * pixels / PEs.
    """
    rng = np.random.default_rng(seed)
    stack, source = [], "image"
    for index in range(layers):
        name = f"c{index}"
        mask = rng.random((channels, 3, 3, channels)) < density
        # Scaled so that activations neither vanish nor saturate from layer to layer.
        scale = round(2**15 * 1.3 / np.sqrt(density * mask[0].size))
        stack.append(
            Conv(
                name=name,
                input=source,
                kernel=(3, 3),
                padding=(1, 1),
                index=index,
                out_channels=channels,
                mask=mask,
                scale=np.full(channels, scale, np.int16),
                bias=rng.integers(-500, 3000, channels).astype(np.int32),
                shift=15,
            )
        )
        source = name
    image = Input(name="image", height=size, width=size, channels=channels)
    images = rng.integers(0, 256, (1, size, size, channels), dtype=np.uint8)
    return Network(name="deep", seed=seed, input=image, layers=tuple(stack)), images
