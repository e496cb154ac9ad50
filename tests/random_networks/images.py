"""Random images for a network."""

import numpy as np

__all__ = ["random_images"]


def random_images(rng, network, count):
    """Return `count` images for a network: mostly noise, some sparse, two-valued or constant.

    Parameters
    ----------
    rng : np.random.Generator
        Source of every choice.
    network : Network
        The network, whose input is (H, W, C).
    count : int
        Number of images.

    Returns
    -------
    uint8 or int8 array, (count, H, W, C)
        Of the input's type.
    """
    return images_for(rng, network.input, count)


def images_for(rng, image_input, count):
    """Return images for an `Input`."""
    limits, shape = np.iinfo(image_input.type), image_input.shape
    images = rng.integers(limits.min, limits.max + 1, (count, *shape), dtype=image_input.type)
    for image in images[1:]:
        kind = rng.integers(8)
        if kind == 0:
            image[:] = rng.choice([limits.min, limits.max])
        elif kind == 1:
            image[:] = rng.choice([limits.min, limits.max], shape)
        elif kind == 2:
            image[rng.random(shape) < 0.8] = 0
    return images
