import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hiddenite.training.layers.masks import OneOf, TopK, largest


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


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("values", [1, 2, 5])
def test_top_k_of_few_values_keeps_the_first_of_the_equal_ones(values, dtype):
    random = torch.Generator().manual_seed(values)
    for _ in range(40):
        shape = tuple(torch.randint(1, 7, (4,), generator=random).tolist())
        scores = torch.randint(0, values, shape, generator=random).to(dtype)
        size, channels = scores.numel(), len(scores)
        keep = int(torch.randint(channels, size + 1, (), generator=random))
        mask = TopK.apply(scores, keep)
        assert mask.dtype == dtype and mask.count_nonzero() == keep
        rows, kept = scores.flatten(1).double().numpy(), mask.flatten(1) == 1
        expected = np.zeros(rows.shape, bool)
        expected[np.arange(channels), rows.argmax(1)] = True
        order = np.argsort(-rows, axis=None, kind="stable")
        others = [place for place in order if not expected.flat[place]]
        expected.flat[others[: keep - channels]] = True
        assert np.array_equal(kept.numpy(), expected)


def test_largest_takes_infinite_scores_too():
    scores = torch.tensor([torch.inf, 0.0, torch.inf, 1.0, torch.inf])
    assert largest(scores, 2).tolist() == [True, False, True, False, False]
    assert largest(scores, 4).tolist() == [True, False, True, True, True]
    assert not largest(scores, 0).any()


def test_top_k_of_infinite_scores_leaves_no_channel_empty():
    scores = torch.zeros(4, 1, 1, 6)
    scores[0] = torch.inf
    assert TopK.apply(scores, 4).flatten(1).sum(1).tolist() == [1, 1, 1, 1]


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


def test_one_of_equal_scores_keeps_the_first():
    mask = OneOf.apply(torch.zeros(2, 2, 3, 4), 4)
    assert (mask[..., 0] == 1).all() and mask.sum() == 2 * 2 * 3


@pytest.mark.parametrize(("function", "number"), [(TopK, 9), (OneOf, 4)])
def test_gradient_passes_straight_through(function, number):
    scores = scores_of((3, 3, 3, 2)).requires_grad_()
    gradient = torch.randn(scores.shape)
    function.apply(scores, number).backward(gradient)
    assert torch.equal(scores.grad, gradient)
