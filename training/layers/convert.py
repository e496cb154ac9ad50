"""From a plain PyTorch model to a hidden network of the same shape."""

import copy

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.activation import STEP, QuantizedReLU
from hiddenite.training.layers.coded import CodedConv2d, HiddenConv2d, HiddenLinear

RECTIFIERS = (nn.ReLU, nn.ReLU6)
AVERAGE_POOLS = (nn.AvgPool2d, nn.AdaptiveAvgPool2d)
UNCHANGED = (
    nn.Sequential,
    nn.ModuleList,
    nn.ModuleDict,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.MaxPool2d,
    nn.Flatten,
    nn.Identity,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
)
"""PyTorch's own modules that stay as they are."""


def hide(model, example, *, density=0.3, seed=1, one_of=None, step=STEP):
    """Return a copy of a model with hidden weights and 8-bit activations.

    Of its modules,

    - each `nn.Conv2d` becomes a `HiddenConv2d`, each `nn.Linear` a `HiddenLinear`, with weight-set
      indexes 0, 1, 2, ... in the order of ``model.modules()``; a bias stays a bias and starts at 0;
    - each `nn.ReLU` and `nn.ReLU6` becomes a `QuantizedReLU`, which ends at ``255 * step``;
    - each average pooling gets a `QuantizedReLU` behind it, since the hardware rounds averages too
      (another rectifier behind that changes nothing);
    - batch normalisations, maximum poolings, dropout, `nn.Flatten`, `nn.Identity`, containers and
      modules of your own keep their type, and their parameters are copied.

    The trained weights of `model` are not used. What its `forward` does besides calling modules
    stays. So its additions make residuals; one of the two must be a stored activation, and a
    shortcut with a convolution needs a rectifier of its own. ``functional.relu`` is not replaced,
    and the export refuses it.

    Parameters
    ----------
    model : nn.Module
        Takes what `example` is.
    example : float tensor, (N, C, H, W)
        Images, which are run through the model once to see which maps its linear layers read.
    density, seed, one_of
        As in `HiddenConv2d`.
    step : float
        Unit of the activations.

    Returns
    -------
    nn.Module

    Raises
    ------
    InputError
        A module cannot be converted, the model fails on the example, or an argument breaks a rule
        of `HiddenConv2d`.

    Examples
    --------
    >>> plain = nn.Sequential(
    ...     nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10)
    ... )
    >>> hidden = hide(plain, torch.rand(1, 1, 8, 8))
    >>> hidden[4].kernel_size
    (6, 6)
    """
    if not torch.is_tensor(example) or example.dim() != 4:
        found = f"shape {tuple(example.shape)}" if torch.is_tensor(example) else repr(example)
        raise InputError(f"example must be a tensor (N, C, H, W), not {found}")
    model = copy.deepcopy(model)
    for name, module in model.named_modules():
        _check(f"module {name!r}" if name else "the model", module)
    sizes = _map_sizes(model, example)
    options = {"density": density, "seed": seed, "one_of": one_of}
    replacements = {}
    index = 0
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            new = _hidden(module, sizes.get(module, (1, 1)), index=index, **options)
            replacements[module] = new.to(module.weight.device).train(module.training)
            index += 1
        elif isinstance(module, RECTIFIERS):
            replacements[module] = QuantizedReLU(step)
        elif isinstance(module, AVERAGE_POOLS):
            replacements[module] = nn.Sequential(module, QuantizedReLU(step))
    # A module may be there under several names, all of which get its replacement.
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child in replacements:
                setattr(parent, name, replacements[child])
    return replacements.get(model, model)


def _check(where, module):
    """Raise `InputError` if a module cannot be converted."""
    kind = type(module).__name__
    if isinstance(module, CodedConv2d):
        raise InputError(f"{where}: {kind} is converted already")
    if isinstance(module, nn.Conv2d):
        for rule, value, only in (
            ("groups", module.groups, 1),
            ("dilation", module.dilation, (1, 1)),
            ("padding_mode", module.padding_mode, "zeros"),
        ):
            if value != only:
                raise InputError(f"{where}: {rule} must be {only!r}, not {value!r}")
        if module.padding == "same" and not all(size % 2 for size in module.kernel_size):
            raise InputError(
                f"{where}: a kernel with padding 'same' must have odd sizes,"
                f" not {module.kernel_size}"
            )
        return
    convertible = (nn.Linear, *RECTIFIERS, *AVERAGE_POOLS, *UNCHANGED)
    if type(module).__module__.startswith("torch.nn.") and not isinstance(module, convertible):
        raise InputError(f"{where}: {kind} cannot be converted; the hardware has no such layer")


def _hidden(module, map_size, **options):
    """Return the hidden layer for a convolution or a linear layer."""
    options["bias"] = module.bias is not None
    if isinstance(module, nn.Conv2d):
        channels = module.in_channels, module.out_channels
        padding = module.padding
        if padding == "same":
            padding = tuple(size // 2 for size in module.kernel_size)
        elif padding == "valid":
            padding = 0
        return HiddenConv2d(*channels, module.kernel_size, module.stride, padding, **options)
    return HiddenLinear(module.in_features, module.out_features, map_size=map_size, **options)


class _MapSizes(TorchFunctionMode):
    """While active, notes in each matrix that is a flattened map the map's height and width."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        source = args[0] if args else None
        if function is functional.linear or not torch.is_tensor(source):
            return result
        if torch.is_tensor(result) and result.dim() == 2:
            if source.dim() == 4 and len(source) == len(result):
                if source.numel() == result.numel():
                    result.map_size = tuple(source.shape[2:])
            elif source.shape == result.shape and hasattr(source, "map_size"):
                result.map_size = source.map_size  # dropout, for one
        return result


def _map_sizes(model, example):
    """Return, for each linear layer, the height and width of the map that it reads."""
    sizes = {}

    def note(module, inputs):
        sizes[module] = getattr(inputs[0], "map_size", (1, 1))

    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    hooks = [linear.register_forward_pre_hook(note) for linear in linears]
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.no_grad(), _MapSizes():
            model.eval()(example)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"example must be images that the model can compute: {reason}") from error
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
    return sizes
