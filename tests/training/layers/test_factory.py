import pytest

from hiddenite.golden.errors import InputError

torch = pytest.importorskip("torch")

from hiddenite.training.layers.factory import KINDS, LayerFactory


@pytest.mark.parametrize("kind", KINDS)
def test_layers_of_a_kind(kind):
    factory = LayerFactory(kind)
    conv = factory.conv(3, 8, 3, stride=2, padding=1)
    linear = factory.linear(8, 10, map_size=(4, 2))
    assert conv.weights.kind == linear.weights.kind == kind
    assert conv.weights().shape == (8, 3, 3, 3)
    assert linear.weights().shape == (10, 4, 2, 8)
    assert conv.bias is None and linear.bias is None
    assert conv(torch.rand(2, 3, 8, 4)).shape == (2, 8, 4, 2)
    assert linear(torch.rand(2, 8, 4, 2)).shape == (2, 10)


def test_indexes_count_the_hidden_layers():
    factory = LayerFactory()
    layers = [factory.conv(1, 4, 3), factory.linear(4, 2), factory.conv(4, 4, 1)]
    assert [layer.weights.index for layer in layers] == [0, 1, 2]
    assert LayerFactory().conv(1, 4, 3).weights.index == 0


def test_options_reach_the_layers():
    weights = LayerFactory(seed=9, density=0.5).conv(4, 4, 3).weights
    assert (weights.seed, weights.density, weights.one_of) == (9, 0.5, None)
    weights = LayerFactory(one_of=8).linear(64, 4).weights
    assert (weights.seed, weights.density, weights.one_of) == (1, 0.125, 8)
    assert LayerFactory(step=0.25).activation().step == 0.25


def test_refuses_another_kind():
    message = "^kind of weights must be one of hidden, binary, dense, not 'ternary'$"
    with pytest.raises(InputError, match=message):
        LayerFactory("ternary")
