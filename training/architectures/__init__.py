"""Network architectures whose layers a `LayerFactory` makes."""

from hiddenite.training.architectures.resnet import resnet8, resnet18, resnet20, resnet50
from hiddenite.training.architectures.separable import ds_cnn, mobilenet_v1, mobilenet_v2
from hiddenite.training.architectures.small_cnn import digits_cnn, fashion_cnn
from hiddenite.training.architectures.vgg import vgg_small

ARCHITECTURES = {
    "digits_cnn": digits_cnn,
    "fashion_cnn": fashion_cnn,
    "vgg_small": vgg_small,
    "ds_cnn": ds_cnn,
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "resnet8": resnet8,
    "resnet20": resnet20,
    "resnet18": resnet18,
    "resnet50": resnet50,
}
"""Name of an architecture -> ``function(factory, *, shape, classes, width=1.0)``."""
