"""torchvision's models and transforms as they are."""

import re

import pytest

torch = pytest.importorskip("torch")

from exported_models import check_export, random_images, trained
from torch import nn
from torchvision_models import import_torchvision

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.export import export
from hiddenite.training.layers.convert import hide

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def torchvision():
    return import_torchvision()


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def transforms(torchvision, version):
    if version == 1:
        return torchvision.transforms
    from torchvision.transforms import v2

    return v2


@pytest.mark.parametrize("version", [1, 2])
def test_normalize(version, torchvision, tmp_path):
    normalize = transforms(torchvision, version).Normalize([0.5, 0.4, 0.3], [0.25] * 3)
    model = nn.Sequential(normalize, nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    images = random_images(8, (3, 8, 8))
    network = check_export(trained(model, images), tmp_path / "a", images)
    assert len(network.layers) == 1


@pytest.mark.parametrize("version", [1, 2])
def test_normalize_with_a_deviation_for_each_channel(version, torchvision):
    normalize = transforms(torchvision, version).Normalize(
        [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    )
    message = (
        "module '0' (Normalize): must have one factor for all channels, as hidden weights are -1, 0"
        " and 1, not 4.36681 and 4.46429: use one for all, or leave it to a batch normalisation"
        " behind the convolution"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        hide(nn.Sequential(normalize, nn.Conv2d(3, 4, 3)), torch.zeros(1, 3, 8, 8))


SHORTCUT = (
    "(add): cannot add the signed result of '{}' and the signed result of '{}': the residual must"
    " be 8-bit activations: put an nn.ReLU behind the shortcut"
)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "resnet18",
            "node 'add_2' in 'layer2.0' "
            + SHORTCUT.format("layer2.0.conv2", "layer2.0.downsample.0"),
        ),
        (
            "resnet50",
            "node 'add' in 'layer1.0' "
            + SHORTCUT.format("layer1.0.conv3", "layer1.0.downsample.0"),
        ),
        (
            "squeezenet1_1",
            "node 'cat' in 'features.3' (torch.cat): the hardware has no such operation",
        ),
        ("mobilenet_v2", "module 'features.1.conv.0.0': groups must be 1, not 32"),
    ],
)
def test_models_that_version_1_of_the_file_cannot_hold(name, message, torchvision):
    # The hardware has no signed activations, no concatenation and no groups.
    model = getattr(torchvision.models, name)(num_classes=5)
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        hide(model, torch.zeros(1, 3, 64, 64))


@pytest.mark.exhaustive("test_convert_forms has its forms")
def test_resnet_with_rectified_shortcuts(torchvision, tmp_path):
    model = torchvision.models.resnet18(num_classes=5)
    for module in model.modules():
        if getattr(module, "downsample", None) is not None:
            module.downsample.append(nn.ReLU())
    images = random_images(4, (3, 64, 64))
    hidden = trained(model, images)
    assert isinstance(hidden, torchvision.models.ResNet)
    report = export(hidden, tmp_path / "a", images)
    assert report.model_classes == report.classes == 1
    assert len(report.network.layers) == 23
