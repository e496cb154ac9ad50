from itertools import pairwise

import pytest

torch = pytest.importorskip("torch")

from hiddenite.golden.errors import InputError
from hiddenite.training.density import DensitySchedule
from hiddenite.training.layers.coded import HiddenConv2d


def model_of(*channels, **options):
    torch.manual_seed(0)
    return torch.nn.Sequential(
        *(
            HiddenConv2d(a, b, 3, index=index, **options)
            for index, (a, b) in enumerate(pairwise(channels))
        )
    )


def kept(model):
    return [int(layer.weights.mask().sum()) for layer in model]


def test_layer_scope_gives_each_layer_its_fraction():
    model = model_of(4, 16, 32)
    DensitySchedule(model, 0.25, scope="layer").step(0.0)
    assert kept(model) == [144, 1152]


@pytest.mark.parametrize("density", [0.05, 0.1, 0.5, 1.0])
def test_network_scope_keeps_the_best_of_all_weights(density):
    model = model_of(4, 16, 32)
    with torch.no_grad():
        model[0].weights.scores.mul_(10)
    schedule = DensitySchedule(model, density, scope="network", floor=0.2)
    schedule.step(1.0)
    total = 576 + 4608
    assert sum(kept(model)) == round(density * total)
    floors = [max(16, -(-0.2 * density * 576 // 1)), max(32, -(-0.2 * density * 4608 // 1))]
    assert all(number >= floor for number, floor in zip(kept(model), floors, strict=True))
    if density < 1:
        assert kept(model)[0] / 576 > kept(model)[1] / 4608


def test_no_layer_dies_in_network_scope():
    model = model_of(4, 16, 32)
    with torch.no_grad():
        model[0].weights.scores.mul_(1e-6)
    DensitySchedule(model, 0.02, scope="network").step(1.0)
    assert kept(model)[0] == 16
    assert (model[0].weights.mask().flatten(1).sum(1) == 1).all()


def test_ramp_starts_with_all_weights_and_falls_to_the_target():
    schedule = DensitySchedule(model_of(4, 16), 0.1, ramp=0.5)
    values = [schedule.at(progress) for progress in (0, 0.1, 0.25, 0.5, 0.75, 1)]
    assert values[0] == 1 and values[3:] == [0.1] * 3
    assert sorted(values, reverse=True) == values
    assert values[2] == pytest.approx(0.1 + 0.9 / 8)


def test_layers_of_a_fixed_rate_are_left_alone():
    model = model_of(4, 16, one_of=4)
    DensitySchedule(model, 0.5, scope="network").step(1.0)
    assert kept(model) == [144]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"density": 0}, "density must be above 0 and at most 1, not 0"),
        ({"density": 1.5}, "density must be above 0 and at most 1, not 1.5"),
        ({"scope": "net"}, "density scope must be one of layer, network, not 'net'"),
        ({"ramp": 2}, "density ramp must be from 0 to 1, not 2"),
        ({"floor": -1}, "density floor must be from 0 to 1, not -1"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        DensitySchedule(model_of(4, 16), **{"density": 0.3, **options})
