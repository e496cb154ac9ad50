from importlib import resources

import numpy as np
import pytest

from hiddenite.golden.inference import infer
from hiddenite.golden.network import Network


@pytest.fixture(scope="session")
def digits_path():
    with resources.as_file(resources.files("hiddenite.cli") / "demo") as folder:
        yield folder / "digits.safetensors"


@pytest.fixture(scope="session")
def digits(digits_path):
    """The demo's network, three images, and what the golden model makes of them."""
    network = Network.load(digits_path)
    images = np.load(digits_path.with_name("images.npy"))[:3]
    return network, images, infer(network, images)
