"""torchvision, where it can be imported."""

import importlib.util

import pytest

_OPERATORS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision():
    """Return torchvision, or skip the test with the reason.

    PyPI's torchvision is built for PyPI's PyTorch. Beside a PyTorch for CPUs alone its operators
    are not loaded, and it stops as it describes them. Models and transforms need none of them.
    """
    torch = pytest.importorskip("torch")
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "does not exist" not in str(error):
            raise
    for name in _OPERATORS:
        torch.library.define(f"torchvision::{name}", _SCHEMA)
    return importlib.import_module("torchvision")
