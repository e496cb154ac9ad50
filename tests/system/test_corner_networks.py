"""Networks at the limits of the format, each with a result that was computed elsewhere."""

import numpy as np
import pytest
from system.cases import Case, faults

from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import infer
from hiddenite.golden.network import Network
from hiddenite.rtl.configuration import PRESETS

LEAST = {"tiny": 15, "up5k": 16, "hx8k": 12}
"""So many of the 20 networks at least fit each configuration."""


@pytest.fixture
def corners(case_folder):
    """Networks, each with its image and the right result."""
    files = sorted(case_folder("corner_networks").glob("*.safetensors"))
    assert files
    return [
        (
            Network.load(file),
            np.load(file.with_suffix(".x.npy")),
            np.load(file.with_suffix(".y.npy")),
        )
        for file in files
    ]


def test_golden_model(corners):
    for network, image, right in corners:
        np.testing.assert_array_equal(infer(network, image), right)


@pytest.mark.parametrize("preset", LEAST)
def test_hardware(preset, corners, engines):
    cases = []
    for network, (image,), (right,) in corners:
        try:
            case = Case.of(network, image, PRESETS[preset])
        except InputError:
            continue
        assert np.array_equal(case.expected[0], right)
        cases.append(case)
    assert len(cases) >= LEAST[preset]
    outcomes = engines.simulation(PRESETS[preset]).run([case.run() for case in cases])
    assert not faults(cases, outcomes)
