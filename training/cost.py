"""What a network costs in bytes: on the hardware, and with dense or binary weights."""

from dataclasses import dataclass

import numpy as np

from hiddenite.compiler.compile import compile_network
from hiddenite.golden.rice import RiceCode

BITS = {"binary": 1, "dense": 8}
"""Bits of a weight, uncoded."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Size of a network's program for one configuration, or of its masks alone.

    Attributes
    ----------
    weights, kept : int
        Its weights, and those that the masks keep.
    mask_bits : int
        Bits of the coded masks, in a program with what fills its words.
    program_bytes : int or None
        All that the program stream carries; None without a program.
    """

    weights: int
    kept: int
    mask_bits: int
    program_bytes: int | None

    @property
    def bits_per_weight(self):
        """Coded bits for each weight, kept or not; of a binary network 1."""
        return self.mask_bits / self.weights

    def program_bytes_at(self, bits_per_weight):
        """Return the bytes of the same program if each weight took so many bits, uncoded."""
        if self.program_bytes is None:
            return None
        return self.program_bytes - self.mask_bits // 8 + -(-self.weights * bits_per_weight // 8)


def cost_of(network, configuration):
    """Return what a network's program for a configuration costs.

    Parameters
    ----------
    network : Network
    configuration : Configuration or None
        None where there is no hardware for it: then there is no program.

    Returns
    -------
    Cost

    Raises
    ------
    InputError
        The network does not fit the configuration.
    """
    masks = [np.asarray(layer.mask).reshape(-1) for layer in network.layers if layer.op == "conv"]
    if configuration is None:
        mask_bits, program_bytes = sum(_coded_bits(mask) for mask in masks), None
    else:
        program = compile_network(network, configuration)
        mask_bits, program_bytes = program.mask_bits, len(program.bytes)
    return Cost(
        weights=sum(mask.size for mask in masks),
        kept=sum(int(mask.sum()) for mask in masks),
        mask_bits=mask_bits,
        program_bytes=program_bytes,
    )


def _coded_bits(mask):
    """Return the bits of a layer's mask in the code that suits it best."""
    return int(RiceCode.best([mask]).encode(mask).length.sum())


def describe(outcome, cost):
    """Return what is reported of a trained network, for JSON.

    Of the two densities, one is what was asked for, the other the fraction of the weights that are
    kept: it is larger where every channel keeps a weight though fewer were asked for, and smaller
    where a channel's result is constant.

    Parameters
    ----------
    outcome : Outcome
        Of the network itself, or of a dense or binary one of the same topology.
    cost : Cost
        What the hidden network of that topology costs.

    Returns
    -------
    dict
    """
    recipe = outcome.recipe
    hidden = recipe.kind == "hidden"
    kept = cost.kept if hidden else cost.weights
    bits = cost.bits_per_weight if hidden else BITS[recipe.kind]
    return {
        "recipe": recipe.name,
        "kind": recipe.kind,
        "width": recipe.width,
        "density": 1 / recipe.one_of if recipe.one_of else recipe.density,
        "epochs": recipe.epochs,
        "float_accuracy": outcome.float_accuracy,
        "accuracy": outcome.accuracy,
        "class_agreement": outcome.class_agreement,
        "layer_agreement": outcome.layer_agreement,
        "weights": cost.weights,
        "kept": kept,
        "kept_density": kept / cost.weights,
        "bits_per_weight": bits,
        "program_bytes": cost.program_bytes if hidden else cost.program_bytes_at(bits),
    }
