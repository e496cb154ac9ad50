"""The tensors between the layers."""

from hiddenite.golden.checks import check_string, one_line
from hiddenite.golden.errors import InputError

from .image import ACTIVATION_TYPES


class Tensors:
    """Shapes and types of the tensors that are defined so far.

    Parameters
    ----------
    image : Input
        The first one.
    """

    def __init__(self, image):
        self.shapes = {image.name: image.shape}
        self.types = {image.name: image.type}

    def shape_of(self, where, role, name):
        """Return the shape of a tensor that a layer reads as its `role`."""
        if check_string(where, role, name) not in self.shapes:
            raise InputError(f"{where}: {role} {one_line(name)} must be defined before it is used")
        if self.types[name] not in ACTIVATION_TYPES:
            raise InputError(
                f"{where}: {role} {one_line(name)} must be {' or '.join(ACTIVATION_TYPES)},"
                f" not {self.types[name]}"
            )
        return self.shapes[name]

    def define(self, layer):
        """Add a layer's output."""
        residual = getattr(layer, "residual", None) is not None
        roles = ("input", "residual") if residual else ("input",) * len(layer.inputs)
        shapes = [
            self.shape_of(layer.where, role, name)
            for role, name in zip(roles, layer.inputs, strict=True)
        ]
        shape = layer.output_shape(*shapes)
        output_type = layer.output_type(*(self.types[name] for name in layer.inputs))
        if layer.name in self.shapes:
            raise InputError(
                f"{layer.where}: name {one_line(layer.name)} must not be defined twice"
            )
        self.shapes[layer.name] = shape
        self.types[layer.name] = output_type
