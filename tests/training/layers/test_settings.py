import copy
import io
from collections import OrderedDict

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.export import to_network
from hiddenite.training.exporter.fold import fold
from hiddenite.training.layers.activation import QuantizedReLU
from hiddenite.training.layers.coded import HiddenConv2d, HiddenLinear
from hiddenite.training.layers.settings import StatedModule

IMAGES = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def model_of(*, seed=1, first=0, density=0.3, one_of=None, step=1 / 64):
    """A network whose scores are the same whatever its settings are."""
    torch.manual_seed(0)
    options = {"seed": seed, "density": density, "one_of": one_of}
    return nn.Sequential(
        OrderedDict(
            conv1=HiddenConv2d(1, 6, 3, padding=1, index=first, **options),
            norm1=nn.BatchNorm2d(6),
            act1=QuantizedReLU(step),
            conv2=HiddenConv2d(6, 6, 3, index=first + 1, **options),
            act2=QuantizedReLU(step),
            flatten=nn.Flatten(),
            full=HiddenLinear(216, 3, map_size=6, index=first + 2, **options),
        )
    )


def saved(model):
    """What comes back from a file of a model's state."""
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize(
    "values",
    [{"seed": 2}, {"first": 5}, {"density": 0.1}, {"one_of": 4}, {"step": 1 / 16}],
    ids=lambda values: next(iter(values)),
)
def test_a_state_is_the_network(values):
    for here, there in (({}, values), (values, {})):
        model, source = model_of(**here), model_of(**there)
        assert not torch.equal(model(IMAGES), source(IMAGES))
        assert str(model.load_state_dict(saved(source))) == "<All keys matched successfully>"
        assert torch.equal(model(IMAGES), source(IMAGES))
        model.load_state_dict(saved(model_of(**here)))
        assert torch.equal(model(IMAGES), model_of(**here)(IMAGES))


def test_the_file_of_a_restored_network_is_that_of_its_source():
    images = (IMAGES * 255).round() / 255
    model, source = model_of(), model_of(seed=77, first=5, density=0.5)
    model.load_state_dict(saved(source))
    for given in (model, source):
        given.eval()
    assert to_network(fold(model, images)) == to_network(fold(source, images))
    folded = fold(model_of().eval(), images)
    folded.load_state_dict(saved(fold(source, images)))
    assert to_network(folded) == to_network(fold(source, images))


def test_a_part_of_a_state_is_that_part_of_the_network():
    model, source = model_of(), model_of(seed=9, density=0.5)
    part = {name: value for name, value in source.state_dict().items() if name.startswith("conv2")}
    found = model.load_state_dict(part, strict=False)
    assert "conv1.weights._extra_state" in found.missing_keys
    assert torch.equal(model.conv2.weights(), source.conv2.weights())
    assert torch.equal(model.conv1.weights(), model_of().conv1.weights())


def test_layers_change_places():
    model = nn.Sequential(*(HiddenConv2d(6, 6, 3, index=index) for index in range(2)))
    first, second = (layer.weights() for layer in model)
    states = [copy.deepcopy(layer.state_dict()) for layer in model]
    for layer, state in zip(model, reversed(states), strict=True):
        layer.load_state_dict(state)
    assert torch.equal(model[0].weights(), second) and torch.equal(model[1].weights(), first)


def test_an_averaged_model_s_state():
    average = torch.optim.swa_utils.AveragedModel(model_of(seed=4))
    average.update_parameters(model_of(seed=4))
    again = torch.optim.swa_utils.AveragedModel(model_of())
    again.load_state_dict(saved(average))
    assert torch.equal(again(IMAGES), average(IMAGES))


def test_a_loaded_layer_can_be_moved():
    model = model_of()
    model.load_state_dict(saved(model_of(seed=2)))
    assert torch.equal(model.double()(IMAGES.double()), model_of(seed=2).double()(IMAGES.double()))


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (
            "conv2.weights._extra_state",
            "layer 'conv2.weights': state must have seed, index, density, one_of, keep, not"
            " 'conv2.weights.scores' alone: it is of an older version, or not whole",
        ),
        (
            "full._extra_state",
            "layer 'full': state must have stride, padding, dilation, groups, not"
            " 'full.weights.scores' alone: it is"
            " of an older version, or not whole",
        ),
    ],
)
def test_tensors_without_their_settings(strict, missing, message):
    state = model_of().state_dict()
    del state[missing]
    with pytest.raises(InputError) as caught:
        model_of().load_state_dict(state, strict=strict)
    assert str(caught.value) == message


def test_settings_are_those_of_the_subclass():
    class Scale(StatedModule):
        tensor_prefix = "size"

        def __init__(self, unit):
            super().__init__()
            self.size, self.unit = nn.Parameter(torch.ones(2)), unit

        def get_extra_state(self):
            return {"unit": self.unit}

        def set_settings(self, unit):
            if unit < 0:
                raise InputError(f"unit must be at least 0, not {unit}")
            self.unit = unit

    module = nn.Sequential(Scale(3))
    module.load_state_dict(nn.Sequential(Scale(4)).state_dict())
    assert module[0].unit == 4
    with pytest.raises(InputError, match=r"^layer '0': unit must be at least 0, not -1$"):
        module.load_state_dict(nn.Sequential(Scale(-1)).state_dict())
    with pytest.raises(InputError, match=r"^layer '0': state must have unit, not '0.size' alone: "):
        module.load_state_dict({"0.size": torch.zeros(2)}, strict=False)
    assert (module[0].size == 1).all()
