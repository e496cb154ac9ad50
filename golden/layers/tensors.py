"""The tensors between the layers, and what layers have in common."""

from hiddenite.golden.checks import check_string, one_line
from hiddenite.golden.errors import InputError

from .conv import Conv, check_sign
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
        # Masks and signs that agree; they are kept so that no other arrays can take their places.
        self._agreeing = {}

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
        """Add a layer's output.

        Raises
        ------
        InputError
            The layer does not fit the tensors that it reads, or its name is taken, or its signs do
            not fit its mask.
        """
        residual = getattr(layer, "residual", None) is not None
        roles = ("input", "residual") if residual else ("input",) * len(layer.inputs)
        shapes = [
            self.shape_of(layer.where, role, name)
            for role, name in zip(roles, layer.inputs, strict=True)
        ]
        shape = layer.output_shape(*shapes)
        if isinstance(layer, Conv) and layer.sign is not None:
            self._check_sign(layer)
        output_type = layer.output_type(*(self.types[name] for name in layer.inputs))
        if layer.name in self.shapes:
            raise InputError(
                f"{layer.where}: name {one_line(layer.name)} must not be defined twice"
            )
        self.shapes[layer.name] = shape
        self.types[layer.name] = output_type

    def _check_sign(self, conv):
        # Once for all layers that share both: else a small file could take any time.
        mask, sign = conv.mask, conv.sign
        key = mask.ctypes.data, sign.ctypes.data, mask.shape
        if key not in self._agreeing:
            check_sign(conv.where, mask, sign)
            self._agreeing[key] = mask, sign
