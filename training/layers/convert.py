import re
import warnings

import torch
from torch import nn

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.fold import LEFT_TO_THE_HOST, FoldedNetwork
from hiddenite.training.exporter.graph import INPUT_STEP, MAX_EXAMPLE, prepared, trace
from hiddenite.training.exporter.nodes import is_used_later
from hiddenite.training.exporter.order import MOVED
from hiddenite.training.exporter.rules import hint
from hiddenite.training.exporter.tracer import copied
from hiddenite.training.layers.activation import HIGHEST, LEVELS, LOWEST, STEP, QuantizedReLU
from hiddenite.training.layers.alterations import check_training_hooks, check_unaltered, place_of
from hiddenite.training.layers.coded import CodedConv2d, HiddenConv1d, HiddenConv2d, HiddenLinear
from hiddenite.training.layers.functional import AverageEnd, with_modules
from hiddenite.training.layers.maps import map_sizes
from hiddenite.training.layers.steps import settle_steps
from hiddenite.training.layers.ties import check_ties

RECTIFIERS = (nn.ReLU, nn.Hardtanh)  # nn.ReLU6 is an nn.Hardtanh
AVERAGE_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Linear)
REPLACED = (*WEIGHTED, *RECTIFIERS, *AVERAGE_POOLS)
UNCHANGED = (
    nn.Sequential,
    nn.ModuleList,
    nn.ModuleDict,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.MaxPool1d,
    nn.MaxPool2d,
    nn.AdaptiveMaxPool1d,
    nn.AdaptiveMaxPool2d,
    nn.ConstantPad1d,  # nn.ZeroPad1d is one
    nn.ConstantPad2d,
    nn.Upsample,
    nn.Flatten,
    nn.Identity,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.Softmax,
    nn.Softmax2d,
    nn.LogSoftmax,
)
"""PyTorch's own modules that stay as they are."""

_KINDS = {
    "QuantizedReLU": "ReLU",
    "HiddenConv1d": "Conv1d",
    "HiddenConv2d": "Conv2d",
    "HiddenLinear": "Linear",
}


def hide(model, example, *, density=0.3, seed=1, one_of=None, step=STEP):
    """Return a copy of a model with hidden weights and 8-bit activations.

    Of its modules,

    - each `nn.Conv2d` becomes a `HiddenConv2d`, each `nn.Conv1d` a `HiddenConv1d`, each `nn.Linear`
      a `HiddenLinear`, with weight-set indexes 0, 1, 2, ... in the order of ``model.modules()``; a
      bias stays a bias and starts at 0;
    - each `nn.ReLU` becomes a `QuantizedReLU`, which ends at ``255 * step``; an `nn.ReLU6` or an
      `nn.Hardtanh` from 0 becomes one that ends where it does, at ``255 * (6 / 255)``;
    - a weight or a bias that several of them have stays one;
    - each average pooling gets a `QuantizedReLU` behind it, since the hardware rounds averages too,
      with the unit of what it averages (another rectifier behind that changes nothing);
    - where 8 bits are read that nothing of this rounds to, such as behind a linear bottleneck, a
      `QuantizedIdentity` is put, with a sign and a step that is learnt; the parts of a
      concatenation get one of them, or one step;
    - batch normalisations, maximum poolings, dropout, zeros around maps, `nn.Upsample`,
      `nn.Flatten`, `nn.Identity`, containers and modules of your own keep their type, and their
      parameters are copied.

    Rectifiers and averages that a `forward` calls as functions, such as ``functional.relu``, become
    modules, and so does what is rounded behind functions: the module with that `forward` gets the
    one that `torch.fx` traces in it, in a class that is derived from its own. It must do the same
    in training as in evaluation mode, but for dropout.

    The trained weights of `model` are not used; its type (float32 or float64), its devices, and
    what it does not train stay. What its `forward` does besides calling modules stays. A softmax or
    an argmax at the end stays in the model and is left to the host by `export`, of which there is a
    warning.

    The result can be exported: it is traced as `export` will do it, so that what the hardware
    cannot do is refused before the training.

    Parameters
    ----------
    model : nn.Module
        Takes what `example` is.
    example : float tensor, (N, C, H, W), (N, C, L) or (N, C)
        Images, of the model's type and on its device, which are run through the model to see which
        maps its linear layers read. Where a number is below 0, images have bytes with a sign.
    density, seed, one_of
        As in `HiddenConv2d`.
    step : float
        Unit of the activations, but for those whose range the model says.

    Returns
    -------
    nn.Module

    Raises
    ------
    InputError
        A module cannot be converted, something else than the classes of modules decides what they
        compute (hooks, wrappers), the export would refuse the result, the model fails on the
        example, or an argument breaks a rule of `HiddenConv2d`.

    Examples
    --------
    >>> plain = nn.Sequential(
    ...     nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10)
    ... )
    >>> hidden = hide(plain, torch.rand(1, 1, 8, 8))
    >>> hidden[4].kernel_size
    (6, 6)
    """
    check_unaltered(model, REPLACED)
    dtype = next(model.parameters(), example if torch.is_tensor(example) else torch.empty(0)).dtype
    _check_example(example, dtype)
    for name, module in model.named_modules():
        _check(f"module {name!r}" if name else "the model", module)
    check_training_hooks(model, REPLACED)
    check_ties(model, WEIGHTED)
    images = example[:MAX_EXAMPLE] if len(example) > 1 else torch.cat([example, example])
    sizes = map_sizes(copied(model), images.clone())
    model = copied(model)
    places = with_modules(model)
    for name, place in places.items():
        _check(place, model.get_submodule(name))
    plain = dict(model.named_modules())
    model = _replaced(model, sizes, step, density=density, seed=seed, one_of=one_of)
    generator = torch.Generator().manual_seed(0)
    signed = bool((example < 0).any())
    low, high = (LOWEST, HIGHEST) if signed else (0, LEVELS)
    pixels = torch.randint(low, high + 1, images.shape, generator=generator)
    pixels = pixels.to(images.dtype) * INPUT_STEP
    try:
        limits, averages = _ranges(plain)
        settle_steps(model, pixels, limits, averages, step, signed)
        graph = trace(prepared(model), pixels, input_type="int8" if signed else "uint8")
    except InputError as error:
        raise InputError(_in_plain_terms(str(error), plain, places)) from None
    _check_in_place(graph, plain, places)
    if graph.host is not None:
        warnings.warn(f"{graph.host.place}: {LEFT_TO_THE_HOST}", stacklevel=2)
    return model


def _replaced(model, sizes, step, **options):
    """Return a model with the hidden layers and activations in the place of its own."""
    replacements: dict[nn.Module, nn.Module] = {}
    weights: dict[torch.Tensor, tuple[str, nn.Module]] = {}
    biases: dict[torch.Tensor | None, nn.Parameter] = {}
    for name, module in model.named_modules():
        if isinstance(module, WEIGHTED):
            new = _hidden(module, sizes.get(name, (1, 1)), index=len(weights), **options)
            new.to(module.weight.device, module.weight.dtype).train(module.training)
            _share(place_of(name, module), module, new, weights, biases)
            replacements[module] = new
        elif isinstance(module, nn.Hardtanh):
            replacements[module] = QuantizedReLU(module.max_val / LEVELS)
        elif isinstance(module, nn.ReLU | AverageEnd):
            replacements[module] = QuantizedReLU(step)
        elif isinstance(module, AVERAGE_POOLS):
            replacements[module] = nn.Sequential(module, QuantizedReLU(step))
    # A module may be there under several names, all of which get its replacement.
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child in replacements:
                setattr(parent, name, replacements[child])
    return replacements.get(model, model)


def _ranges(plain):
    """Return the limits and the averages of the activations that modules were replaced by.

    As in `settle_steps`, by the names in the hidden model.
    """
    limits, averages = {}, set()
    for name, module in plain.items():
        if isinstance(module, AVERAGE_POOLS):
            name = f"{name}.1".lstrip(".")
        elif not isinstance(module, (*RECTIFIERS, AverageEnd)):
            continue
        limits[name] = module.max_val if isinstance(module, nn.Hardtanh) else None
        if not isinstance(module, RECTIFIERS):
            averages.add(name)
    return limits, averages


def _check_example(example, dtype):
    """Raise `InputError` unless `example` is images, rows or features of a type."""
    if not torch.is_tensor(example) or example.dim() not in (2, 3, 4):
        found = f"shape {tuple(example.shape)}" if torch.is_tensor(example) else repr(example)
        raise InputError(f"example must be a tensor (N, C, H, W), (N, C, L) or (N, C), not {found}")
    if example.dtype != dtype or not example.is_floating_point():
        raise InputError(
            f"example must be of type {dtype}, as the model's parameters are, not {example.dtype}"
        )
    if not example.numel():
        raise InputError(f"example must have images, not shape {tuple(example.shape)}")


def _share(place, module, new, weights, biases):
    """Let a hidden layer share what the layer that it replaces shares, and learn what it learns.

    `weights` and `biases` have what replaces each weight and each bias so far; this adds to them.
    """
    first = weights.setdefault(module.weight, (place, new.weights))
    if first[1].scores.shape != new.weights.scores.shape:
        (_, height, width, _), (_, *size, _) = new.weights.scores.shape, first[1].scores.shape
        raise InputError(
            f"{place}: shares its weight with {first[0]}, and so must read maps of"
            f" {size[0]} x {size[1]} too, not of {height} x {width}"
        )
    new.weights = first[1]
    new.weights.scores.requires_grad_(module.weight.requires_grad)
    if new.bias is not None:
        new.bias = biases.setdefault(module.bias, new.bias)
        new.bias.requires_grad_(module.bias.requires_grad)


def _check_in_place(graph, plain, places):
    """Raise `InputError` if a rectifier changes what is read again, which no hidden one does.

    `plain` has the modules that the model was made of, by their names, and `places` how messages
    name those of them that were functions.
    """
    changing = set(graph.nodes.values())  # not those behind activations that are stored already
    for node in graph.module.graph.nodes:
        module = plain.get(node.target) if node.name in changing else None
        in_place = isinstance(module, RECTIFIERS) and module.inplace and MOVED not in node.meta
        if in_place and is_used_later(node):
            place = places.get(node.target) or place_of(node.target, module)
            raise InputError(
                f"{place}: must not change in place what is read again behind it: read its result"
            )


def _in_plain_terms(text, plain, places):
    """Return a message about a hidden model as one about the model that it was made of.

    `plain` and `places` are as in `_check_in_place`.
    """
    missing = re.search(r"'(?:Hidden\w+|QuantizedReLU)' object has no attribute '(\w+)'", text)
    if missing:
        return (
            f"{text.partition(': ')[0]}: forward must call its layers, not use the"
            f" {missing[1]} of one, which its hidden layer has not"
        )
    for name, module in plain.items():
        kind = type(module).__name__
        if isinstance(module, AVERAGE_POOLS):
            for quantizer in ("QuantizedReLU", "QuantizedIdentity"):
                text = text.replace(f"'{name}.1' ({quantizer})", f"'{name}' ({kind})")
            text = text.replace(f"'{name}.0'", f"'{name}'")
        named = f"module '{name}' (QuantizedReLU)"
        text = text.replace(named, places.get(name) or place_of(name, module))
    for hidden, kind in _KINDS.items():
        text = text.replace(f"({hidden})", f"({kind})").replace(f"a {hidden}", f"an nn.{kind}")
        text = text.replace(hidden, f"nn.{kind}")
    return text


def _check(where, module):
    """Raise `InputError` if a module cannot be converted."""
    kind = type(module).__name__
    if isinstance(module, CodedConv2d | FoldedNetwork):
        raise InputError(f"{where}: {kind} is converted already")
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        if module.padding_mode != "zeros":
            raise InputError(f"{where}: padding_mode must be 'zeros', not {module.padding_mode!r}")
        return
    if isinstance(module, nn.Hardtanh) and module.min_val != 0:
        raise InputError(
            f"{where}: min_val must be 0, not {module.min_val:g}: stored activations have no sign"
        )
    if type(module) is nn.Module:  # it only holds others
        return
    convertible = (nn.Linear, *RECTIFIERS, *AVERAGE_POOLS, *UNCHANGED)
    if type(module).__module__.startswith("torch.nn.") and not isinstance(module, convertible):
        reason = hint(kind) if "Pad" in kind else "the hardware has no such layer"
        raise InputError(f"{where}: {kind} cannot be converted; {reason}")


def _hidden(module, map_size, **options):
    """Return the hidden layer for a convolution or a linear layer."""
    options["bias"] = module.bias is not None
    if isinstance(module, nn.Linear):
        return HiddenLinear(module.in_features, module.out_features, map_size=map_size, **options)
    kind = HiddenConv1d if isinstance(module, nn.Conv1d) else HiddenConv2d
    padding = module.padding
    if padding == "same":
        # As PyTorch does it: of an odd number of zeros, one more is behind.
        whole = [
            (taps - 1) * gap for taps, gap in zip(module.kernel_size, module.dilation, strict=True)
        ]
        before = tuple(zeros // 2 for zeros in whole)
        padding = before + tuple(zeros - half for zeros, half in zip(whole, before, strict=True))
    elif padding == "valid":
        padding = 0
    return kind(
        module.in_channels,
        module.out_channels,
        module.kernel_size,
        module.stride,
        padding,
        module.dilation,
        module.groups,
        **options,
    )
