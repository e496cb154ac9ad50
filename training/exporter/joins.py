"""What joined and enlarged tensors of a traced model are on the hardware, and what is refused."""

from hiddenite.golden.layers import MAX_CONCAT, MAX_FACTOR
from hiddenite.training.exporter.plans import ConcatPlan, UpsamplePlan
from hiddenite.training.exporter.values import Operand, Stored, Value

NEAREST = ("nearest", "nearest-exact")
"""Modes that are the same where a size is multiplied by an integer."""


def concat(site, tensors, dim=0):
    """Tensors whose channels are put one after the other."""
    parts = list(tensors) if isinstance(tensors, tuple | list) else [tensors]
    if not all(isinstance(part, Value) for part in parts):
        site.refuse("must join what depends on the image, not a constant")
    if not isinstance(dim, int) or dim % site.axes != 1:
        site.refuse(f"must be along the channels, dim 1, not {dim!r}")
    if len(parts) > MAX_CONCAT:
        site.refuse(f"must join at most {MAX_CONCAT} tensors, not {len(parts)}")
    for part in parts:
        if isinstance(part, Operand):
            site.refuse(f"must join stored activations, not {part}: join them before that")
    if site.joined is not None:
        stored = site.joined(site, parts)
    else:
        stored = [
            site.stored(
                part, f"must join 8-bit activations, not {part}: put a QuantizedReLU before it"
            )
            for part in parts
        ]
        _check_alike(site, stored)
    sizes = [part.shape[1:] for part in stored]
    for part, size in zip(stored, sizes, strict=True):
        if size != sizes[0]:
            site.refuse(f"must join maps of one size, not {sizes[0]} and {size} of {part}")
    channels = sum(part.shape[0] for part in stored)
    return ConcatPlan(site.name, tuple(stored), (channels, *sizes[0]))


def _check_alike(site, parts):
    """Refuse to join stored activations unless all have one unit and one type."""
    first = parts[0]
    for part in parts:
        if (part.step, part.signed) != (first.step, first.signed):
            site.refuse(
                f"must join activations of one unit and type, not {_unit(first)} as of {first} and"
                f" {_unit(part)} as of {part}: put a quantiser of one step and kind behind each"
            )


def _unit(stored):
    low, high = stored.range
    return f"{low} to {high} times {stored.step:g}"


def interpolate(
    site,
    input,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    """Maps whose pixels are repeated."""
    if mode not in NEAREST:
        site.refuse(f"mode must be 'nearest', not {mode!r}: the hardware repeats pixels")
    if isinstance(input, Operand):
        site.refuse(f"must enlarge stored activations, not {input}: enlarge them before that")
    if not isinstance(input, Stored):
        input = site.stored(
            input, f"must enlarge 8-bit activations, not {input}: put a QuantizedReLU before it"
        )
    old, new = input.shape[1:], site.maps[1:]
    if old == new:
        return input
    if any(after % before for before, after in zip(old, new, strict=True)):
        site.refuse(f"must enlarge {old} by integers, not to {new}")
    factor = new[0] // old[0], new[1] // old[1]
    if max(factor) > MAX_FACTOR:
        site.refuse(f"must enlarge at most {MAX_FACTOR} times, not {max(factor)} times")
    return UpsamplePlan(site.name, input, site.maps, factor)
