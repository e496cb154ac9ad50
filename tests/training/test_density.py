import math
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
    return [int(layer.weights.mask().count_nonzero()) for layer in model]


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


def asked(model, density, floor):
    """What is to be kept: what was asked for, or what every layer keeps in any case."""
    sizes = [layer.weights.scores.numel() for layer in model]
    least = [
        max(layer.out_channels, math.ceil(round(floor * density * size, 6)))
        for layer, size in zip(model, sizes, strict=True)
    ]
    return max(sum(least), round(density * sum(sizes))), least


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("values", [1, 2, 3, 10])
def test_network_scope_keeps_what_was_asked_for_of_equal_scores(values, dtype):
    model = model_of(3, 8, 5, 7).to(dtype)
    random = torch.Generator().manual_seed(values)
    for _ in range(25):
        density, floor = torch.randint(1, 1001, (2,), generator=random).div(1000).tolist()
        with torch.no_grad():
            for layer in model:
                scores = layer.weights.scores
                scores.copy_(torch.randint(0, values, scores.shape, generator=random) / 7)
        DensitySchedule(model, density, floor=floor, scope="network").step(1.0)
        total, least = asked(model, density, floor)
        assert sum(kept(model)) == total
        assert [layer.weights.keep for layer in model] == kept(model)
        assert all(number >= low for number, low in zip(kept(model), least, strict=True))
        assert all(layer.weights.mask().flatten(1).sum(1).min() >= 1 for layer in model)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.6])
def test_scores_that_are_mostly_0_do_not_keep_everything(share):
    model = model_of(4, 16, 32)
    with torch.no_grad():
        for layer in model:
            layer.weights.scores.mul_(torch.rand_like(layer.weights.scores) < share)
    DensitySchedule(model, 0.3, scope="network").step(1.0)
    assert sum(kept(model)) == round(0.3 * (576 + 4608))


@pytest.mark.parametrize("scope", ["layer", "network"])
@pytest.mark.parametrize(("density", "number"), [(0.07, 7), (0.29, 29), (0.57, 57), (1.0, 100)])
def test_a_density_is_no_weight_more_than_asked_for(scope, density, number):
    model = torch.nn.Sequential(HiddenConv2d(50, 2, 1, index=0))
    DensitySchedule(model, density, scope=scope, floor=1.0).step(1.0)
    assert kept(model) == [number]


def test_channels_keep_a_weight_where_fewer_were_asked_for():
    model = model_of(4, 16, 32)
    DensitySchedule(model, 0.001, scope="network").step(1.0)
    assert kept(model) == [16, 32]


@pytest.mark.parametrize("where", ["first", "last"])
def test_refuses_nan(where):
    model = model_of(4, 16, 32)
    with torch.no_grad():
        model[0 if where == "first" else 1].weights.scores[0, 0, 0, 0] = torch.nan
    name, index = ("0", 0) if where == "first" else ("1", 1)
    message = f"^layer '{name}.weights': scores of weight set {index} must be numbers, not nan: "
    with pytest.raises(InputError, match=message):
        DensitySchedule(model, 0.3, scope="network").step(1.0)


def test_infinite_scores_take_no_other_layer_s_share():
    model = model_of(4, 16, 32)
    with torch.no_grad():
        model[0].weights.scores.fill_(torch.inf)
    DensitySchedule(model, 0.05, scope="network").step(1.0)
    assert sum(kept(model)) == round(0.05 * (576 + 4608)) and kept(model)[1] == 47


def test_a_layer_that_becomes_one_of_a_fixed_rate_is_left_alone():
    model = model_of(4, 16)
    schedule = DensitySchedule(model, 0.5)
    model.load_state_dict(model_of(4, 16, one_of=4).state_dict())
    schedule.step(1.0)
    assert kept(model) == [144] == [model[0].weights.keep]


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
