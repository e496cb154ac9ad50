import pytest

torch = pytest.importorskip("torch")

from training_helpers import small_dataset, small_recipe

from hiddenite.training.augmentation import Augmentation
from hiddenite.training.processes import Processes
from hiddenite.training.trainer import (
    FOLDED_RATE,
    Trainer,
    accuracy,
    recalibrate,
    to_input,
)

ALONE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(recipe, epochs=None):
    trainer = Trainer(recipe, small_dataset(), ALONE)
    for _ in range(recipe.epochs if epochs is None else epochs):
        trainer.run_epoch()
    return trainer


def equal(a, b):
    return all(
        torch.equal(x, y) if torch.is_tensor(x) else x == y
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("folded", [0, 0.25])
@pytest.mark.parametrize("kind", ["hidden", "binary", "dense"])
def test_learns(kind, folded):
    trainer = trained(small_recipe(kind=kind, epochs=8, folded=folded))
    trainer.schedule.step(1.0)
    if not folded:
        recalibrate(trainer.model, trainer.dataset.train)
    assert trainer.is_folded == bool(folded)
    assert accuracy(trainer.model, trainer.dataset.test) > 0.9


def test_learns_one_of_every_four():
    trainer = trained(small_recipe(one_of=4, epochs=8))
    assert trainer.is_folded
    assert accuracy(trainer.model, trainer.dataset.test) > 0.9


def test_same_seed_same_model_other_seed_another():
    augmentation = Augmentation(shift=1, rotation=5)
    recipe = small_recipe(epochs=2, augmentation=augmentation)
    first = trained(recipe).model
    assert equal(first, trained(recipe).model)
    assert not equal(first, trained(recipe.with_values(seed=1)).model)


@pytest.mark.parametrize("epochs", [1, 2, 3])
@pytest.mark.parametrize("scope", ["layer", "network"])
def test_goes_on_from_a_state_as_if_never_interrupted(scope, epochs):
    recipe = small_recipe(
        epochs=4, ramp=0.5, folded=0.5, scope=scope, augmentation=Augmentation(flip=True)
    )
    whole = trained(recipe)
    part = trained(recipe, epochs=epochs)
    assert part.is_folded == (epochs == 3)
    rest = Trainer(recipe, small_dataset(), ALONE)
    rest.restore(part.state())
    while rest.epoch < recipe.epochs:
        rest.run_epoch()
    assert equal(whole.model, rest.model)


def test_a_teacher_changes_what_is_learnt():
    recipe = small_recipe(epochs=2, distill=0.5)
    teacher = trained(recipe.of_kind("dense")).model.eval()
    student = Trainer(recipe, small_dataset(), ALONE, teacher=teacher)
    student.run_epoch()
    other = trained(recipe.with_values(distill=0.0), epochs=1)
    assert not equal(student.model, other.model)


def test_learning_rate_rises_and_falls_to_nothing_twice():
    trainer = Trainer(small_recipe(epochs=4, folded=0.25), small_dataset(), ALONE)
    assert (trainer.steps, trainer.fold_at) == (6, 3)
    rates = [trainer.rate(step) for step in range(24)]
    assert rates[0] == pytest.approx(0.1 / 6)
    assert rates[5:18] == sorted(rates[5:18], reverse=True) and rates[17] < 0.001
    assert rates[18:] == sorted(rates[18:], reverse=True)
    assert rates[18] == 0.1 and rates[23] < 0.01
    trainer.fold()
    factors = [group["factor"] for group in trainer.optimizer.param_groups]
    assert factors[0] == FOLDED_RATE and len(factors) == 11


@pytest.mark.parametrize(("epochs", "folded"), [(1, 0), (2, 1), (6, 1), (20, 1), (100, 5)])
def test_last_epochs_are_folded(epochs, folded):
    trainer = Trainer(small_recipe(epochs=epochs), small_dataset(), ALONE)
    assert epochs - trainer.fold_at == folded


def test_folded_training_trains_scales_and_biases():
    trainer = trained(small_recipe(epochs=6, folded=0.5), epochs=3)
    trainer.fold()
    before = [
        layer.bias.detach().clone() for layer in trainer.model.layers if layer.scale is not None
    ]
    losses = [trainer.run_epoch()[0] for _ in range(3)]
    after = [layer.bias for layer in trainer.model.layers if layer.scale is not None]
    assert losses[-1] < losses[0]
    assert any((a != b).any() for a, b in zip(after, before, strict=True))


def test_mixed_precision_trains():
    loss, _ = trained(small_recipe(precision="bfloat16", epochs=1)).run_epoch()
    assert loss < 2


def test_recalibration_gives_the_mean_over_images_and_keeps_the_momentum():
    trainer = Trainer(small_recipe(), small_dataset(), ALONE)
    recalibrate(trainer.model, trainer.dataset.train, batch=96)
    convolution, norm = trainer.model.layer1[:2]
    with torch.no_grad():
        activations = convolution(to_input(trainer.dataset.train.images, "cpu"))
    torch.testing.assert_close(norm.running_mean, activations.mean((0, 2, 3)))
    assert norm.momentum == 0.1


def test_progress_is_told_after_each_step():
    told = []
    trainer = Trainer(small_recipe(), small_dataset(), ALONE)
    trainer.run_epoch(lambda *values: told.append(values))
    assert [number for number, _, _ in told] == [1, 2, 3, 4, 5, 6]
    assert all(0 <= right <= 1 for _, _, right in told)
