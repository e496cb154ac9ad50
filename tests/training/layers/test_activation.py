import math

import pytest

from hiddenite.golden.errors import InputError

torch = pytest.importorskip("torch")

from hiddenite.training.layers.activation import STEP, QuantizedIdentity, QuantizedReLU


def test_rounds_half_up_and_clips():
    units = torch.tensor([-3.0, -0.5, 0.0, 0.49, 0.5, 1.5, 2.5, 3.75, 254.4, 254.5, 255.5, 900.0])
    expected = torch.tensor([0.0, 0, 0, 0, 1, 2, 3, 4, 254, 255, 255, 255])
    for step in (STEP, 1.0, 0.25):
        assert torch.equal(QuantizedReLU(step)(units * step), expected * step)


def test_leaves_its_own_output_and_its_input_alone():
    x = torch.randn(1000, generator=torch.Generator().manual_seed(1)) * 3
    before = x.clone()
    activation = QuantizedReLU()
    once = activation(x)
    assert torch.equal(activation(once), once)
    assert torch.equal(x, before)


def test_gradient_passes_inside_the_range_only():
    units = torch.tensor([-1.0, 0.0, 0.1, 100.3, 254.9, 255.0, 300.0], requires_grad=True)
    QuantizedReLU(1.0)(units).mul(torch.arange(1.0, 8.0)).sum().backward()
    assert units.grad.tolist() == [0, 0, 3, 4, 5, 0, 0]


def test_computes_in_32_bits_whatever_comes_in():
    x = torch.tensor([3.9844, 1.0], dtype=torch.bfloat16)
    assert QuantizedReLU()(x).dtype == torch.float32


def test_state_has_its_step():
    x = torch.rand(100)
    coarse, fine = QuantizedReLU(0.25), QuantizedReLU(0.125)
    expected = coarse(x)
    fine.load_state_dict(coarse.state_dict())
    assert torch.equal(fine(x), expected) and fine.step == 0.25


def test_refuses_a_state_without_its_step():
    model = torch.nn.Sequential(QuantizedReLU(0.25))
    with pytest.raises(RuntimeError, match="Missing key"):
        model.load_state_dict({})
    for state, message in (
        ({"step": -1.0}, "layer '0': step must be above 0, not -1.0"),
        ({}, "layer '0': state must have step, not nothing"),
        (3, "layer '0': state must have step, not int"),
    ):
        with pytest.raises(InputError, match=f"^{message}$"):
            model.load_state_dict({"0._extra_state": state})


def test_names_its_step():
    assert repr(QuantizedReLU(0.25)) == "QuantizedReLU(step=0.25)"


def test_refuses_an_infinite_step():
    with pytest.raises(InputError, match=r"^step must be finite, not inf$"):
        QuantizedReLU(math.inf)


@pytest.mark.parametrize("step", [0, -0.5, float("nan")])
def test_refuses_a_step(step):
    with pytest.raises(InputError, match=f"^step must be above 0, not {step!r}$"):
        QuantizedReLU(step)


def test_signed_rounds_half_up_and_clips():
    units = torch.tensor([-900.0, -128.5, -128, -1.5, -0.5, -0.49, 0.5, 126.5, 127.4, 300])
    expected = torch.tensor([-128.0, -128, -128, -1, 0, 0, 1, 127, 127, 127])
    for step in (2 * STEP, 1.0, 0.25):
        assert torch.equal(QuantizedIdentity(step)(units * step), expected * step)


def test_gradients_of_a_learnt_step():
    units = torch.tensor([[-200.0, -3.25, 0.5, 126.75, 150.0]], requires_grad=True)
    activation = QuantizedIdentity(1.0)
    activation(units).mul(torch.tensor([0.1, 2, 3, 4, 0.2])).sum().backward()
    assert units.grad.tolist() == [[0, 2, 3, 4, 0]]
    growth = -128 * 0.1 + 0.25 * 2 + 0.5 * 3 + 0.25 * 4 + 127 * 0.2
    assert activation.stretch.grad.item() == pytest.approx(growth / math.sqrt(127 * 5))
    activation(units.detach())[:, 3:].sum().mul(1000).backward()
    assert activation.stretch.grad.item() == pytest.approx(growth / math.sqrt(127 * 5) + 1)


def test_training_fits_a_step_to_its_activations():
    torch.manual_seed(0)
    x = torch.randn(1000, 8) * 20
    activation = QuantizedIdentity()
    optimizer = torch.optim.SGD(activation.parameters(), 0.05)
    for _ in range(100):
        optimizer.zero_grad()
        (activation(x) - x).square().mean().mul(100).backward()
        optimizer.step()
    assert 0.3 < activation.step < 0.9
    assert (activation(x) - x).abs().mean() < 0.3


def test_state_of_a_learnt_step():
    coarse, fine = QuantizedIdentity(0.25), QuantizedIdentity(0.125)
    with torch.no_grad():
        coarse.stretch.fill_(0.5)
    fine.load_state_dict(coarse.state_dict())
    assert fine.step == coarse.step == pytest.approx(0.25 * math.exp(0.5))
    message = "^layer '0': state must have start, not '0.stretch' alone: it is of an older version"
    with pytest.raises(InputError, match=message):
        torch.nn.Sequential(fine).load_state_dict({"0.stretch": torch.zeros(())})
    with pytest.raises(InputError, match=r"^step must be above 0, not 0$"):
        QuantizedIdentity(0)
