"""What a traced model is on the hardware: its layers."""

from dataclasses import dataclass

from torch import fx

from hiddenite.training.exporter.values import Accumulated, Averaged, Hosted, Stored, Summed


@dataclass(frozen=True, eq=False)
class ConvPlan:
    """A convolution as a layer of the hardware; ``step`` is None for a result of 32 bits."""

    name: str
    value: Accumulated
    step: float | None
    signed: bool = False

    @property
    def inputs(self):
        """Names of the tensors that it reads: the input, then the residual if any."""
        residual = self.value.residual
        return (self.value.operand.input.name,) + (() if residual is None else (residual.name,))


@dataclass(frozen=True)
class MaxPlan:
    """A maximum pooling as a layer of the hardware."""

    name: str
    input: Stored
    shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, ...]

    @property
    def inputs(self):
        """Name of the tensor that it reads."""
        return (self.input.name,)


@dataclass(frozen=True)
class AveragePlan:
    """An average pooling as a layer of the hardware."""

    name: str
    value: Averaged
    step: float
    signed: bool = False

    @property
    def inputs(self):
        """Name of the tensor that it reads."""
        return (self.value.input.name,)


@dataclass(frozen=True)
class AddPlan:
    """A sum of two tensors, or a tensor that gets another unit or type, as a layer."""

    name: str
    value: Summed
    step: float
    signed: bool

    @property
    def inputs(self):
        """Names of the tensors that it reads: the input, then the residual."""
        residual = self.value.residual or self.value.input
        return self.value.input.name, residual.name


@dataclass(frozen=True)
class ConcatPlan:
    """Channels of several tensors one after the other, as a layer of the hardware."""

    name: str
    parts: tuple[Stored, ...]
    shape: tuple[int, int, int]

    @property
    def input(self):
        """The first part, which has the unit and the type of all."""
        return self.parts[0]

    @property
    def inputs(self):
        """Names of the tensors that it reads."""
        return tuple(part.name for part in self.parts)


@dataclass(frozen=True)
class UpsamplePlan:
    """Pixels that are repeated down and across, as a layer of the hardware."""

    name: str
    input: Stored
    shape: tuple[int, int, int]
    factor: tuple[int, int]

    @property
    def inputs(self):
        """Name of the tensor that it reads."""
        return (self.input.name,)


KeptPlan = MaxPlan | ConcatPlan | UpsamplePlan
"""The layers whose output has the unit and the type of their input."""

Plan = ConvPlan | AveragePlan | AddPlan | KeptPlan
"""The layers of the hardware."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A traced model.

    Attributes
    ----------
    image : Stored
        The input.
    layers : tuple of Plan
        In order of execution, without those that the result does not need; the last one's output
        is the result.
    flat : bool
        Whether the last layer's result is (N, C) in the model instead of maps or rows.
    rows : bool
        Whether it is (N, C, L).
    host : Hosted, optional
        What the model does with the result, which is left to the host.
    module : fx.GraphModule
        The model as it was traced.
    nodes : dict of str to str
        For the image and each layer, the name of the node in `module` that has its output.
    """

    image: Stored
    layers: tuple[Plan, ...]
    flat: bool
    rows: bool
    host: Hosted | None
    module: fx.GraphModule
    nodes: dict[str, str]
