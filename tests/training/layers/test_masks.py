import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hiddenite.training.layers.masks import OneOf, TopK


def scores_of(shape, seed=1):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def reference_top_k(scores, keep):
    """Keep the best of each channel, then the best of the rest, one at a time."""
    mask = np.zeros(scores.shape, bool)
    for channel, row in zip(mask, scores, strict=True):
        channel.flat[row.argmax()] = True
    for place in np.argsort(-scores, axis=None):
        if mask.sum() == keep:
            break
        mask.flat[place] = True
    return mask


@pytest.mark.parametrize("keep", [5, 6, 17, 80, 89, 90])
def test_top_k(keep):
    scores = scores_of((5, 3, 2, 3))
    mask = TopK.apply(scores, keep)
    assert mask.dtype == torch.float32
    assert mask.sum() == keep
    assert np.array_equal(mask.numpy() == 1, reference_top_k(scores.numpy(), keep))


def test_top_k_leaves_no_channel_empty():
    scores = scores_of((4, 3, 3, 8))
    scores[2] *= 1e-6
    mask = TopK.apply(scores, 100)
    assert mask.flatten(1).sum(1)[2] == 1
    assert mask[2].flatten().argmax() == scores[2].flatten().argmax()
    assert mask.sum() == 100


def test_top_k_of_equal_scores_keeps_as_many():
    assert TopK.apply(torch.zeros(4, 1, 1, 6), 11).sum() == 11


def reference_one_of(scores, group):
    mask = np.zeros(scores.shape, bool)
    out_channels, kernel_height = scores.shape[:2]
    rows = scores.reshape(out_channels * kernel_height, -1)
    for row, kept in zip(rows, mask.reshape(rows.shape), strict=True):
        for start in range(0, len(row), group):
            kept[start + row[start : start + group].argmax()] = True
    return mask


@pytest.mark.parametrize("group", [2, 3, 4, 7, 24, 100])
@pytest.mark.parametrize("shape", [(3, 3, 3, 8), (2, 1, 3, 3), (5, 2, 1, 1)])
def test_one_of(shape, group):
    scores = scores_of(shape)
    mask = OneOf.apply(scores, group)
    assert np.array_equal(mask.numpy() == 1, reference_one_of(scores.numpy(), group))
    groups_of_a_row = -(-shape[2] * shape[3] // group)
    assert mask.sum() == shape[0] * shape[1] * groups_of_a_row


def test_one_of_equal_scores_keeps_one():
    assert OneOf.apply(torch.zeros(2, 2, 3, 4), 4).sum() == 2 * 2 * 3


@pytest.mark.parametrize(("function", "number"), [(TopK, 9), (OneOf, 4)])
def test_gradient_passes_straight_through(function, number):
    scores = scores_of((3, 3, 3, 2)).requires_grad_()
    gradient = torch.randn(scores.shape)
    function.apply(scores, number).backward(gradient)
    assert torch.equal(scores.grad, gradient)
