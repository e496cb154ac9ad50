"""Finds what makes a module compute something else than its class: hooks, wrappers, own methods.

A conversion goes by the classes of modules, and so does an export. What changes a module behind
its class's back would be dropped by both, so it is refused, by name and with the remedy.
"""

import torch
from torch import nn
from torch.nn.utils import parametrize

from hiddenite.golden.errors import InputError

WRAPPERS = {
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "FullyShardedDataParallel": "module",
    "AveragedModel": "module",
    "OptimizedModule": "_orig_mod",
}
"""PyTorch's wrappers, and the attribute that is the model in each."""

DTYPES = (torch.float32, torch.float64)
"""What parameters may be: half precision cannot tell all stored activations from one another."""

_LIBRARIES = ("torch.nn.modules.", "hiddenite.training.layers.", "hiddenite.training.exporter.")

_CALLS = {"forward", "__call__", "_call_impl", "_wrapped_call_impl"}
_LOOKUPS = {"__getattr__", "__getattribute__"}
_MODES = {"train", "eval"}

_HARMLESS = {"extra_repr", "_load_from_state_dict", "_version"}
"""Attributes of PyTorch's layers that do not take part in what they compute; ``reset_...`` too."""

_FORWARD_HOOKS = {
    "_forward_pre_hooks": "forward pre-hook",
    "_forward_hooks": "forward hook",
}
_TRAINING_HOOKS = {
    "_backward_pre_hooks": "backward pre-hook",
    "_backward_hooks": "backward hook",
    "_state_dict_pre_hooks": "state_dict pre-hook",
    "_state_dict_hooks": "state_dict hook",
    "_load_state_dict_pre_hooks": "load_state_dict pre-hook",
    "_load_state_dict_post_hooks": "load_state_dict post-hook",
}


def place_of(name, module):
    """Return how messages name a module of a model; the model's own name is empty."""
    kind = type(module).__name__
    return f"module {name!r} ({kind})" if name else f"the model ({kind})"


def is_normalize(module):
    """Return whether a module is torchvision's ``Normalize``, which no trace sees through."""
    kind = type(module)
    return kind.__name__ == "Normalize" and kind.__module__.startswith("torchvision.transforms.")


GIVEN_FORWARD = "_given_forward"
"""Attribute of a class that only gives its base another forward, traced in a model."""


def library_class(module):
    """Return the first of a module's classes that is PyTorch's or this package's."""
    classes = (cls for cls in type(module).__mro__ if GIVEN_FORWARD not in vars(cls))
    return next(cls for cls in classes if cls.__module__.startswith(_LIBRARIES))


def own_method(module):
    """Return the name of a method with which a module departs from its library class, or None.

    A class that only chooses arguments, or adds methods that its library class has not, departs
    from nothing.
    """
    base = library_class(module)
    known = _known(base) | _LOOKUPS
    for cls in type(module).__mro__[: type(module).__mro__.index(base)]:
        for name in vars(cls):
            special = name.startswith("__") and name not in _CALLS | _LOOKUPS
            if name in known - _HARMLESS and not special and not name.startswith("reset_"):
                return name
    patched = not base.forward.__module__.startswith(_LIBRARIES)
    return "forward" if patched else None


def _known(base):
    """Return the names by which a library class computes what it computes, and some more."""
    names = set(_CALLS)
    for cls in base.__mro__[: base.__mro__.index(nn.Module)]:
        names |= vars(cls).keys() | getattr(cls, "__annotations__", {}).keys()
    return names


def _check_method(place, module):
    """Raise `InputError` if a module departs from its library class."""
    name = own_method(module)
    if name is not None:
        base = library_class(module).__name__
        raise InputError(
            f"{place}: must have the {name} of {base}, not one of its own: put what it adds into"
            f" a module that calls {base}"
        )


def check_unaltered(model, by_class=()):
    """Raise `InputError` unless a model's classes alone say what it computes.

    Parameters
    ----------
    model : nn.Module
        Nothing of it is called.
    by_class : tuple of types
        The kinds of modules that are taken for what these types compute, so that a class that is
        derived from one of them must compute the same.

    Raises
    ------
    InputError
        It is no module, or one of its modules is a wrapper, has hooks, has methods of its own,
        computes its parameters, or has parameters without numbers or of another type than
        float32 and float64.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be an nn.Module, not {type(model).__name__}")
    for kind in ("forward_pre", "forward"):
        hooks = getattr(nn.modules.module, f"_global_{kind}_hooks", {})
        for hook in hooks.values():
            raise InputError(
                f"no hook may be registered for all modules, not {_title(hook)}: remove it"
                f" (register_module_{kind}_hook)"
            )
    for name, module in model.named_modules():
        place = place_of(name, module)
        _check_wrapper(place, module)
        for kind in (module.named_parameters, module.named_buffers):
            for attribute, tensor in kind(recurse=False):
                _check_tensor(place, attribute, tensor)
        if parametrize.is_parametrized(module):
            parameter = next(iter(module.parametrizations))
            raise InputError(
                f"{place}: must hold its {parameter} itself, not compute it by a parametrization:"
                " torch.nn.utils.parametrize.remove_parametrizations makes it plain"
            )
        _check_hooks(place, module, _FORWARD_HOOKS)
        _check_instance(place, module)
        if isinstance(module, by_class):
            _check_method(place, module)


def check_training_hooks(model, replaced):
    """Raise `InputError` for hooks that a copy with other layers would not have.

    Copies of parameters have no hooks; modules keep theirs, but for those that are replaced.

    Parameters
    ----------
    model : nn.Module
        The model.
    replaced : tuple of types
        The kinds of modules that are replaced.
    """
    for name, module in model.named_modules():
        place = place_of(name, module)
        if isinstance(module, replaced):
            _check_hooks(place, module, _TRAINING_HOOKS)
        for attribute, parameter in module.named_parameters(recurse=False):
            for kind in ("_backward_hooks", "_post_accumulate_grad_hooks"):
                for hook in (getattr(parameter, kind, None) or {}).values():
                    raise InputError(
                        f"{place}: its {attribute} must have no hook, which would be dropped, not"
                        f" {_title(hook)}: register it on what hide returns"
                    )


def _check_hooks(place, module, kinds):
    """Raise `InputError` if a module has hooks of some kinds, attribute to name."""
    for attribute, kind in kinds.items():
        for hook in getattr(module, attribute, {}).values():
            raise InputError(
                f"{place}: must have no {kind}, which would be dropped, not {_title(hook)}:"
                f" {_removal(hook)}"
            )


def _title(hook):
    """Return how messages name a hook."""
    return getattr(hook, "__qualname__", type(hook).__qualname__)


def _removal(hook):
    """Return how a hook is removed."""
    kind = type(hook)
    if kind.__module__ == "torch.nn.utils.prune" or hasattr(hook, "apply_mask"):
        return "torch.nn.utils.prune.remove makes the parameter plain"
    for function, name in (("weight_norm", "WeightNorm"), ("spectral_norm", "SpectralNorm")):
        if kind.__name__.startswith(name):
            return f"torch.nn.utils.remove_{function} makes the parameter plain"
    return "remove it, or write what it does into a module's forward"


def _check_wrapper(place, module):
    for cls in type(module).__mro__:
        if not cls.__module__.startswith("torch."):
            continue
        if cls.__name__ in WRAPPERS:
            inner = WRAPPERS[cls.__name__]
            raise InputError(f"{place}: is a wrapper, not a model: pass its .{inner} instead")
        if cls is torch.jit.ScriptModule:
            raise InputError(
                f"{place}: is compiled by TorchScript and cannot be converted: pass the module that"
                " it was made of"
            )


def _check_tensor(place, name, tensor):
    if nn.parameter.is_lazy(tensor):
        raise InputError(
            f"{place}: {name} has no size yet: run the model on the example once before"
        )
    if tensor.is_meta:
        raise InputError(
            f"{place}: {name} has no numbers, as it is on the meta device: move the model with"
            " to_empty and initialise it"
        )
    if isinstance(tensor, nn.Parameter) and tensor.dtype not in DTYPES:
        remedy = ": use model.float()" if tensor.is_floating_point() else ""
        raise InputError(
            f"{place}: {name} must be float32 or float64, not"
            f" {str(tensor.dtype).removeprefix('torch.')}{remedy}"
        )


def _check_instance(place, module):
    """Refuse methods that were set on an instance, and a call that is not that of all modules."""
    known = _known(library_class(module)) | _MODES
    for name, value in vars(module).items():
        if name in known and callable(value) and callable(getattr(type(module), name, None)):
            raise InputError(
                f"{place}: must have the {name} of its class, not one that was set on the object:"
                " define it in a class"
            )
    for cls in type(module).__mro__:
        changed = (_CALLS - {"forward"}) & vars(cls).keys()
        if cls is nn.Module or isinstance(module, torch.fx.GraphModule):
            break
        if changed and not cls.__module__.startswith("torch."):
            raise InputError(
                f"{place}: must be called as every nn.Module is, not have a {min(changed)} of its"
                " own: define forward instead"
            )
