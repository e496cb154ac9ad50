import copy
import io
import math
import pickle

import numpy as np
import pytest

from hiddenite.golden.errors import InputError
from hiddenite.golden.weights import signs

torch = pytest.importorskip("torch")

from hiddenite.training.layers.weights import (
    BinaryWeights,
    DenseWeights,
    HiddenWeights,
    check_density,
)

SHAPE = (6, 3, 3, 5)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(1)


@pytest.mark.parametrize("options", [{"density": 0.3}, {"density": 1}, {"one_of": 4}])
def test_hidden_codes_are_signs_of_the_golden_model_or_0(options):
    weights = HiddenWeights(SHAPE, index=7, seed=2**32 - 1, **options)
    codes, mask = weights().detach().numpy(), weights.mask().detach().numpy()
    assert np.array_equal(codes, signs(2**32 - 1, 7, SHAPE) * mask)
    assert set(np.unique(mask)) <= {0, 1}


@pytest.mark.parametrize(("density", "keep"), [(1, 270), (0.3, 81), (0.1, 27), (0.001, 6)])
def test_hidden_keeps_a_fraction(density, keep):
    weights = HiddenWeights(SHAPE, index=0, density=density)
    assert weights.keep == keep
    assert weights.mask().sum() == keep
    assert weights.mask().flatten(1).sum(1).min() >= 1


def test_hidden_keeps_what_a_schedule_says():
    weights = HiddenWeights(SHAPE, index=0, density=0.3)
    weights.keep = weights.count(0.5)
    assert weights.mask().sum() == 135
    assert weights.gain == pytest.approx(math.sqrt(2 / (45 * 0.5)))


def test_hidden_keeps_the_largest_of_either_sign():
    weights = HiddenWeights((1, 1, 1, 6), index=0, density=0.5)
    with torch.no_grad():
        weights.scores.copy_(torch.tensor([0.1, -0.9, 0.3, -0.2, 0.8, 0.0]).view(1, 1, 1, 6))
    assert weights.mask().flatten().tolist() == [0, 1, 1, 0, 1, 0]


def test_hidden_keeps_one_of_each_group():
    weights = HiddenWeights(SHAPE, index=0, one_of=4)
    groups = [weights.mask().view(18, 15)[:, start : start + 4].sum(1) for start in (0, 4, 8, 12)]
    assert all((group == 1).all() for group in groups)
    assert weights.density == 0.25


@pytest.mark.parametrize("options", [{"density": 0.3}, {"one_of": 4}])
def test_hidden_trains_its_scores_only(options):
    weights = HiddenWeights(SHAPE, index=0, **options)
    assert [name for name, _ in weights.named_parameters()] == ["scores"]
    gradient = torch.randn(SHAPE)
    weights().backward(gradient)
    # Also the scores of weights that are not kept; |score| turns the sign of a negative one.
    expected = gradient * weights.sign * weights.scores.detach().sign()
    assert torch.equal(weights.scores.grad, expected)


def test_hidden_gain_keeps_the_variance():
    weights = HiddenWeights((400, 3, 3, 16), index=0, density=0.3)
    x = torch.randn(500, 144).relu() * math.sqrt(2)
    y = x @ (weights().detach() * weights.gain).flatten(1).T
    assert y.var().item() == pytest.approx(2 * x.square().mean().item(), rel=0.1)


def test_hidden_keeps_what_it_says():
    for options in ({"density": 0.3}, {"one_of": 4}, {"one_of": 2}, {"one_of": 100}):
        weights = HiddenWeights(SHAPE, index=0, **options)
        assert weights.keep == weights.mask().sum()
        assert weights.gain == pytest.approx(math.sqrt(2 / (45 * weights.keep / 270)))
    for number in (5, 271, 30.0, True):
        weights = HiddenWeights(SHAPE, index=0)
        with pytest.raises(
            InputError, match=f"^keep must be an integer from 6 to 270, not {number}"
        ):
            weights.keep = number
    weights = HiddenWeights(SHAPE, index=0, one_of=4)
    with pytest.raises(InputError, match=r"^keep must be an integer from 72 to 72, not 100$"):
        weights.keep = 100


@pytest.mark.parametrize("options", [{"density": 0.3}, {"one_of": 4}])
def test_hidden_refuses_a_score_that_is_no_number(options):
    weights = HiddenWeights(SHAPE, index=7, **options)
    with torch.no_grad():
        weights.scores[5, 2, 2, 4] = torch.nan
    message = (
        "^scores of weight set 7 must be numbers, not nan: the training has diverged, as it does"
        " when its learning rate is too large$"
    )
    with pytest.raises(InputError, match=message):
        weights()


STATES = [{"seed": 5}, {"index": 9}, {"density": 0.6}, {"one_of": 4}, {"one_of": 3}]


@pytest.mark.parametrize("there", STATES)
@pytest.mark.parametrize("here", STATES)
@pytest.mark.parametrize("assign", [False, True])
def test_hidden_state_is_all_that_decides_the_codes(here, there, assign):
    source = HiddenWeights(SHAPE, **{"index": 0, **there})
    if not source.one_of:
        source.keep = 100
    state = source.state_dict()
    assert set(state) == {"scores", "_extra_state"}
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    weights = HiddenWeights(SHAPE, **{"index": 0, **here})
    weights.load_state_dict(torch.load(file, weights_only=True), assign=assign)
    for other in (weights, copy.deepcopy(weights), pickle.loads(pickle.dumps(weights))):
        assert torch.equal(other(), source()) and other.gain == source.gain
        assert torch.equal(other.double()(), source().double())
        for name in ("seed", "index", "density", "one_of", "keep"):
            assert getattr(other, name) == getattr(source, name)


@pytest.mark.parametrize("assign", [False, True])
def test_hidden_state_keeps_device_and_type_of_the_scores(assign):
    state = HiddenWeights(SHAPE, index=1).state_dict()
    weights = HiddenWeights(SHAPE, index=0).half()
    weights.load_state_dict(state, assign=assign)
    expected = torch.float32 if assign else torch.float16
    assert weights.scores.dtype == weights.sign.dtype == weights().dtype == expected
    # Signs that were never computed.
    weights = HiddenWeights(SHAPE, index=0).to("meta")
    if assign:
        weights.load_state_dict(state, assign=True)
    else:
        weights.to_empty(device="cpu").load_state_dict(state)
    expected = torch.from_numpy(signs(1, 1, SHAPE)).float()
    assert torch.equal(weights.sign, expected)


def test_hidden_state_that_is_not_whole():
    source, weights = HiddenWeights(SHAPE, index=1), HiddenWeights(SHAPE, index=0, density=0.5)
    before = weights()
    state = source.state_dict()
    scores = {"scores": state["scores"]}
    message = "^the layer: state must have seed, index, density, one_of, keep, not 'scores' alone"
    for strict in (True, False):
        with pytest.raises(InputError, match=message):
            weights.load_state_dict(scores, strict=strict)
    for settings, found in (({"keep": 100}, "keep"), (None, "NoneType"), ({}, "nothing")):
        message = f"^the layer: state must have seed, index, density, one_of, keep, not {found}$"
        with pytest.raises(InputError, match=message):
            weights.load_state_dict(
                {**HiddenWeights(SHAPE, index=0).state_dict(), "_extra_state": settings}
            )
    found = weights.load_state_dict({"_extra_state": state["_extra_state"]}, strict=False)
    assert found.missing_keys == ["scores"] and weights.index == 0 and weights.keep == 135
    assert torch.equal(weights.sign, HiddenWeights(SHAPE, index=0).sign)
    assert before.count_nonzero() == 135


def test_hidden_state_of_another_shape():
    weights = HiddenWeights(SHAPE, index=0)
    before = weights()
    with pytest.raises(RuntimeError, match="size mismatch for scores"):
        weights.load_state_dict(HiddenWeights((8, 3, 3, 9), index=1, seed=3).state_dict())
    assert torch.equal(weights(), before) and weights.index == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"index": -1}, "index must be an integer from 0 to 65535, not -1"),
        ({"seed": "1"}, "seed must be an integer from 0 to 4294967295, not '1'"),
        ({"density": 2.0}, "density must be above 0 and at most 1, not 2.0"),
        ({"one_of": 1}, "one_of must be an integer from 2 to 32768, not 1"),
        ({"keep": 5}, "keep must be an integer from 6 to 270, not 5"),
        ({"one_of": 4}, "keep must be an integer from 72 to 72, not 81"),
    ],
)
def test_hidden_state_with_settings_that_cannot_be(values, message):
    weights = HiddenWeights(SHAPE, index=0, seed=3)
    state = weights.state_dict()
    state["_extra_state"] = {**state["_extra_state"], "index": 7, **values}
    state["scores"] = torch.rand(SHAPE)
    before = weights.get_extra_state(), weights()
    with pytest.raises(InputError, match=f"^the layer: {message}$"):
        weights.load_state_dict(state)
    assert weights.get_extra_state() == before[0] and torch.equal(weights(), before[1])


def test_binary_codes_are_signs():
    weights = BinaryWeights(SHAPE)
    with torch.no_grad():
        weights.latent.view(-1)[:4] = torch.tensor([0.0, -0.01, 0.02, -3.0])
    assert weights().flatten()[:4].tolist() == [1, -1, 1, -1]
    assert set(weights().unique().tolist()) == {-1, 1}
    weights().sum().backward()
    assert weights.latent.grad.flatten()[:4].tolist() == [1, 1, 1, 0]


def test_dense_codes_are_rounded_weights():
    weights = DenseWeights(SHAPE)
    codes = weights().detach()
    assert torch.equal(codes, codes.round())
    assert (codes.abs().flatten(1).amax(1) == 127).all()
    real = codes * weights.gain.view(-1, 1, 1, 1)
    assert ((real - weights.latent).abs() <= 0.501 * weights.gain.view(-1, 1, 1, 1)).all()


def test_dense_gradient_passes_through_the_rounding():
    weights = DenseWeights(SHAPE)
    gradient = torch.randn(SHAPE)
    (weights() * weights.gain.view(-1, 1, 1, 1)).backward(gradient)
    torch.testing.assert_close(weights.latent.grad, gradient)


def test_dense_channel_of_zeros():
    weights = DenseWeights(SHAPE)
    with torch.no_grad():
        weights.latent[2] = 0
    assert (weights()[2] == 0).all()


@pytest.mark.parametrize("density", [0, -0.1, 1.01, float("nan"), True, "0.3", None])
def test_refuses_a_density(density):
    message = f"^density must be above 0 and at most 1, not {density!r}$"
    with pytest.raises(InputError, match=message):
        check_density(density)
    with pytest.raises(InputError, match=message):
        HiddenWeights(SHAPE, index=0, density=density)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"index": -1}, "index must be an integer from 0 to 65535, not -1"),
        ({"index": 65_536}, "index must be an integer from 0 to 65535, not 65536"),
        ({"index": True}, "index must be an integer from 0 to 65535, not True"),
        (
            {"index": 0, "seed": 2**32},
            "seed must be an integer from 0 to 4294967295, not 4294",
        ),
        ({"index": 0, "seed": 1.0}, "seed must be an integer from 0 to 4294967295, not 1.0"),
        ({"index": 0, "one_of": 1}, "one_of must be an integer from 2 to 32768, not 1"),
        ({"index": 0, "one_of": 2**15 + 1}, "one_of must be an integer from 2 to 32768, not 32769"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(InputError, match=f"^{message}"):
        HiddenWeights(SHAPE, **options)
