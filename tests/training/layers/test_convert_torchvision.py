"""torchvision's models and transforms as they are."""

from collections import Counter

import pytest

torch = pytest.importorskip("torch")

from exported_models import check_export, check_values, random_images, trained
from torch import nn
from torchvision_models import import_torchvision

from hiddenite.golden.inference import infer
from hiddenite.training.exporter.export import export
from hiddenite.training.exporter.fold import fold
from hiddenite.training.exporter.graph import INPUT_STEP, image_bytes

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
def test_normalize_with_a_deviation_for_each_channel(version, torchvision, tmp_path):
    normalize = transforms(torchvision, version).Normalize(
        [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    )
    model = nn.Sequential(normalize, nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    images = random_images(8, (3, 8, 8))
    first, second = check_export(trained(model, images), tmp_path / "a", images).layers
    assert (first.groups, first.output, second.padding) == (3, "int8", (1, 1, 1, 1))


@pytest.mark.filterwarnings("ignore:only .* of the classes")
@pytest.mark.parametrize(
    ("name", "size", "operations"),
    [
        ("resnet18", 64, {"conv": 21, "max_pool": 1, "avg_pool": 1}),
        ("mobilenet_v2", 64, {"conv": 53, "avg_pool": 1}),
        ("squeezenet1_1", 64, {"conv": 26, "max_pool": 3, "avg_pool": 1, "concat": 8}),
    ],
)
def test_models_as_they_are(name, size, operations, torchvision, tmp_path):
    model = getattr(torchvision.models, name)(num_classes=5)
    images = random_images(4, (3, size, size))
    hidden = trained(model, images)
    check = hidden
    if name == "mobilenet_v2":  # untrained, its 53 layers make much of every rounding
        check = fold(hidden, images)
    report = export(check, tmp_path / "a", images)
    check_values(hidden, report.network, images)
    assert Counter(layer.op for layer in report.network.layers) == operations
    result = infer(report.network, image_bytes(images, INPUT_STEP, "uint8")).reshape(4, -1)
    with torch.no_grad():
        classes = check(images).argmax(1)
    assert result.argmax(1).tolist() == classes.tolist()
    assert report.model_classes == 1


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
