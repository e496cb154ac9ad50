"""Finds out which maps the linear layers of a model read."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.alterations import place_of


def _note_map_size(tensor: Any, size: tuple[int, ...]) -> None:
    """Note a size in a tensor, in an attribute that PyTorch knows nothing of."""
    tensor.map_size = size


class _MapSizes(TorchFunctionMode):
    """While active, notes in each matrix that is a flattened map the map's height and width."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        source: Any = args[0] if args else None
        if function is functional.linear or not torch.is_tensor(source):
            return result
        if torch.is_tensor(result) and result.dim() == 2:
            if source.dim() in (3, 4) and len(source) == len(result):
                if source.numel() == result.numel():
                    height, width = (1, *source.shape[2:])[-2:]
                    _note_map_size(result, (height, width))
            elif source.shape == result.shape and hasattr(source, "map_size"):
                _note_map_size(result, source.map_size)  # dropout, for one
        return result


def map_sizes(model, example):
    """Return, for each linear layer, the height and width of the map that it reads.

    Parameters
    ----------
    model : nn.Module
        It is called, and left in evaluation mode.
    example : float tensor, (N, C, H, W)
        Images, on the model's device and of its type.

    Returns
    -------
    dict of str to (int, int)
        For the names of the linear layers that are called; 1 x 1 where no map is read.

    Raises
    ------
    InputError
        The model fails on the example, or a linear layer reads something else than one row for
        each image, or maps of two sizes.
    """
    sizes: dict[str, tuple[int, int]] = {}
    wrong: list[str] = []

    def note(module, args, kwargs):
        x = args[0] if args else kwargs.get("input")
        name, size = names[module], getattr(x, "map_size", (1, 1))
        place = place_of(name, module)
        if torch.is_tensor(x) and x.dim() != 2:
            wrong.append(
                f"{place}: must read one row of features for each image, not a tensor of shape"
                f" {tuple(x.shape)}: put nn.Flatten before it, or use an nn.Conv2d with kernel 1"
            )
        elif sizes.setdefault(name, size) != size:
            (height, width), (other_height, other_width) = sizes[name], size
            wrong.append(
                f"{place}: must read maps of one size, not of {height} x {width} and of"
                f" {other_height} x {other_width}: use a layer for each"
            )

    names = {module: name for name, module in model.named_modules()}
    for module in names:
        if isinstance(module, nn.Linear):
            module.register_forward_pre_hook(note, with_kwargs=True)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), _MapSizes():
            model.eval()(example)
    except Exception as error:
        if not wrong:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise InputError(
                f"example must be images that the model can compute: {reason}"
            ) from error
    if wrong:
        raise InputError(wrong[0])
    return sizes
