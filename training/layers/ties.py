"""Finds parameters that several modules of a model share."""

from torch import nn

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.alterations import place_of


def check_ties(model, replaced):
    """Raise `InputError` for parameters whose sharing would be lost when layers are replaced.

    Weights that only layers of one kind share can stay shared, and so can such biases.

    Parameters
    ----------
    model : nn.Module
        The model.
    replaced : tuple of types
        The kinds of layers, with a `weight` and a `bias`, that are replaced.
    """
    owners: dict[nn.Parameter, tuple[str, str, type | None]] = {}
    memory: dict[int, tuple[str, str, nn.Parameter]] = {}
    for name, module in model.named_modules():
        kind = next((kind for kind in replaced if isinstance(module, kind)), None)
        for attribute, parameter in module.named_parameters(recurse=False):
            place = place_of(name, module)
            owner, other, first = owners.setdefault(parameter, (place, attribute, kind))
            if (first, other) != (kind, attribute) and (first or kind):
                raise InputError(
                    f"{place}: its {attribute} must not be the {other} of {owner} as well: a hidden"
                    " layer shares what it learns only with layers of its kind"
                )
            owner, other, same = memory.setdefault(
                parameter.data_ptr(), (place, attribute, parameter)
            )
            if same is not parameter and parameter.numel():
                raise InputError(
                    f"{place}: its {attribute} must not lie where the {other} of {owner} does: let"
                    " both be one parameter, or copy it"
                )
