"""Supermasks from scores: the best weights of a layer, or the best of every group."""

import torch
from torch.nn import functional


def largest(scores, count):
    """Return which `count` of a row of scores are the largest; of equal ones the first are.

    Parameters
    ----------
    scores : float tensor, (N,)
        Without NaN.
    count : int
        0 to N.

    Returns
    -------
    bool tensor, (N,)
        True `count` times. The same on every device.
    """
    if not count:
        return torch.zeros_like(scores, dtype=torch.bool)
    # `topk` alone says nothing about which of equal scores it takes.
    least = scores.topk(count, sorted=False).values.min()
    above, equal = scores > least, scores == least
    return above | (equal & (equal.cumsum(0) <= count - above.sum()))


class TopK(torch.autograd.Function):
    """1 for the `keep` largest scores and for the largest of each output channel, 0 elsewhere.

    ``TopK.apply(scores, keep)``: `scores` are not negative and not NaN, output channels first;
    `keep` is at least their number and at most that of the scores. Exactly `keep` ones; of equal
    scores the first are taken. The gradient passes straight through.
    """

    @staticmethod
    def forward(ctx, scores, keep):
        rows = scores.flatten(1)
        # No channel without a weight: its best one comes before all others.
        best = rows == rows.amax(1, keepdim=True)
        best &= best.cumsum(1) == 1
        rest = rows.masked_fill(best, -1).flatten()
        mask = best.flatten() | largest(rest, keep - len(rows))
        return mask.to(scores.dtype).view_as(scores)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


class OneOf(torch.autograd.Function):
    """1 for the largest of every `group` consecutive scores of a row, 0 elsewhere.

    ``OneOf.apply(scores, group)``: `scores` are (O, KH, KW, C), not negative and not NaN; a row is
    (KW, C). Of equal scores the first is taken. The gradient passes straight through.
    """

    @staticmethod
    def forward(ctx, scores, group):
        rows = scores.flatten(0, 1).flatten(1)
        width = rows.shape[1]
        groups = functional.pad(rows, (0, -width % group), value=-1.0).unflatten(1, (-1, group))
        best = groups == groups.amax(2, keepdim=True)
        mask = (best & (best.cumsum(2) == 1)).to(scores.dtype)
        return mask.flatten(1)[:, :width].reshape(scores.shape)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None
