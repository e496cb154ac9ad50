"""Checks that a model computes the same each time, and what was traced."""

import torch

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.tracer import first_line


def called(model, where, images):
    """Return what a model gives for images, as its user calls it."""
    try:
        with torch.no_grad(), no_autocast():
            return model(images)
    except Exception as error:
        raise InputError(f"{where}: cannot be run on the example: {first_line(error)}") from None


def no_autocast():
    """Return a context without the half precision that a training may be in."""
    return torch.autocast("cpu", enabled=False)


def check_repeats(model, where, images):
    """Return what a model gives for images, which must always be the same.

    Raises `InputError` if it gives another result the second time, or changes a buffer or the
    images. Nor may a result depend on how many images there are beside an image.
    """
    kept = images.clone()
    before = [(name, buffer, _version(buffer)) for name, buffer in model.named_buffers()]
    with torch.random.fork_rng(devices=[]):
        first, second = called(model, where, images), called(model, where, images)
        more = called(model, where, torch.cat([images, images[:1]]))
    if not torch.equal(images, kept):
        raise InputError(
            f"{where}: forward must not change the image in place: use x = x - ..., not x -= ..."
        )
    after = dict(model.named_buffers())
    for name, buffer, version in before:
        if after.get(name) is not buffer or _version(buffer) != version:
            raise InputError(f"{where}: buffer {name!r} must not change in evaluation mode")
    if not all(map(torch.is_tensor, (first, second, more))):
        return first
    if not _are_same(first, second):
        raise InputError(
            f"{where}: forward must give the same result each time in evaluation mode, not"
            f" {_difference(first, second)}: leave out what is random or counts calls"
        )
    alone, beside = first.reshape(len(first), -1), more.reshape(len(more), -1)[:-1]
    if alone.shape != beside.shape or _differs(alone, beside):
        raise InputError(
            f"{where}: forward must give an image the same result whatever other images there are,"
            " and so not use their number but for the shape"
        )
    return first


def _version(tensor):
    """Return a number that changes with a tensor; PyTorch has none in inference mode."""
    return None if tensor.is_inference() else tensor._version


def check_same(where, result, traced):
    """Raise `InputError` unless a model's result is what its trace gives."""
    if not torch.is_tensor(result) or result.shape != traced.shape:
        raise InputError(f"{where}: forward must return what torch.fx traced: one tensor")
    if not _are_same(result, traced):
        raise InputError(
            f"{where}: forward must do what torch.fx traced, not give {_difference(result, traced)}"
            " there: leave out what the trace cannot see, such as a context or a branch"
        )


def _are_same(result, other):
    """Return whether two results are equal but for the order of additions."""
    if result.shape != other.shape:
        return False
    result, other = result.double(), other.double()
    tolerance = 1e-5 * result.abs().nan_to_num().max().item()
    return torch.allclose(result, other, rtol=0, atol=tolerance, equal_nan=True)


def _differs(result, other):
    """Return whether half of the numbers of two results differ by more than roundings."""
    return ((result - other).abs() > 0.01 * result.abs().max()).double().mean().item() > 0.5


def _difference(result, other):
    """Return how messages name the largest difference between two results."""
    if result.shape != other.shape:
        return f"shape {tuple(result.shape)} and {tuple(other.shape)}"
    worst = (result - other).abs().nan_to_num(nan=torch.inf).flatten().argmax()
    return f"{result.flatten()[worst]:g} and {other.flatten()[worst]:g}"
