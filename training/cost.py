"""What a network costs in bytes: on the hardware, and with dense or binary weights."""

from dataclasses import dataclass

from hiddenite.compiler.compile import compile_network

BITS = {"binary": 1, "dense": 8}
"""Bits of a weight, uncoded."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Size of a network's program for one configuration.

    Attributes
    ----------
    weights, kept : int
        Its weights, and those that the masks keep.
    mask_bits : int
        Bits of the coded masks.
    program_bytes : int
        All that the program stream carries.
    """

    weights: int
    kept: int
    mask_bits: int
    program_bytes: int

    @property
    def bits_per_weight(self):
        """Coded bits for each weight, kept or not; of a binary network 1."""
        return self.mask_bits / self.weights

    def program_bytes_at(self, bits_per_weight):
        """Return the bytes of the same program if each weight took so many bits, uncoded."""
        return self.program_bytes - self.mask_bits // 8 + -(-self.weights * bits_per_weight // 8)


def cost_of(network, configuration):
    """Return what a network's program for a configuration costs.

    Parameters
    ----------
    network : Network
    configuration : Configuration

    Returns
    -------
    Cost

    Raises
    ------
    InputError
        The network does not fit the configuration.
    """
    program = compile_network(network, configuration)
    masks = [layer.mask for layer in network.layers if layer.op == "conv"]
    return Cost(
        weights=sum(mask.size for mask in masks),
        kept=sum(int(mask.sum()) for mask in masks),
        mask_bits=program.mask_bits,
        program_bytes=len(program.bytes),
    )


def describe(outcome, cost):
    """Return what is reported of a trained network, for JSON.

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
        "kept": cost.kept if hidden else cost.weights,
        "bits_per_weight": bits,
        "program_bytes": cost.program_bytes if hidden else cost.program_bytes_at(bits),
    }
