"""Supermasks from scores: the best weights of a layer, or the best of every group."""

import torch
from torch.nn import functional


class TopK(torch.autograd.Function):
    """1 for the `keep` largest scores and for the largest of each output channel, 0 elsewhere.

    ``TopK.apply(scores, keep)``: `scores` are not negative, output channels first; `keep` is at
    least their number. The gradient passes straight through.
    """

    @staticmethod
    def forward(ctx, scores, keep):
        rows = scores.flatten(1)
        # No channel without a weight: its best one comes before all others.
        ranks = rows.scatter(1, rows.argmax(1, keepdim=True), torch.inf).flatten()
        mask = torch.zeros_like(ranks)
        mask[ranks.topk(keep, sorted=False).indices] = 1
        return mask.view_as(scores)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


class OneOf(torch.autograd.Function):
    """1 for the largest of every `group` consecutive scores of a row, 0 elsewhere.

    ``OneOf.apply(scores, group)``: `scores` are (O, KH, KW, C), not negative; a row is (KW, C). The
    gradient passes straight through.
    """

    @staticmethod
    def forward(ctx, scores, group):
        rows = scores.flatten(0, 1).flatten(1)
        width = rows.shape[1]
        groups = functional.pad(rows, (0, -width % group), value=-1.0).unflatten(1, (-1, group))
        best = groups.argmax(2, keepdim=True)
        mask = torch.zeros_like(groups).scatter_(2, best, 1.0)
        return mask.flatten(1)[:, :width].reshape(scores.shape)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None
