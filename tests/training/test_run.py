import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training_helpers import small_dataset, small_recipe

from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import infer
from hiddenite.training.lock import alone
from hiddenite.training.processes import Processes
from hiddenite.training.run import evaluate, run, train, untrained

ALONE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def data():
    return small_dataset()


@pytest.mark.parametrize("values", [{}, {"folded": 0.5}, {"one_of": 4}, {"density": 0.1}])
def test_outcome_is_that_of_the_network(data, tmp_path, values):
    outcome = run(small_recipe(**values), data, ALONE, folder=tmp_path)
    classes = infer(outcome.network, data.test.images).reshape(len(data.test), -1).argmax(1)
    assert outcome.accuracy == np.mean(classes == data.test.labels)
    assert outcome.class_agreement >= 0.999
    assert list(outcome.layer_agreement) == [layer.name for layer in outcome.network.layers]
    assert min(outcome.layer_agreement.values()) > 0.999
    assert outcome.network.classes == data.classes


@pytest.mark.parametrize("kind", ["binary", "dense"])
def test_baselines_are_judged_in_exact_integers(data, tmp_path, kind):
    recipe = small_recipe(epochs=8).of_kind(kind)
    outcome = run(recipe, data, ALONE, folder=tmp_path)
    assert outcome.network is None and outcome.class_agreement is None
    assert outcome.accuracy > 0.9
    assert outcome.accuracy == pytest.approx(outcome.float_accuracy, abs=0.02)


def test_teacher_is_trained_once_and_its_file_is_used_again(data, tmp_path):
    teacher = tmp_path / "teacher.pt"
    recipe = small_recipe(distill=0.5, epochs=2)
    told = []
    run(
        recipe, data, ALONE, folder=tmp_path, teacher=teacher, progress=lambda *t: told.append(t[0])
    )
    assert list(dict.fromkeys(told)) == [
        "train dense digits_cnn",
        "train hidden digits_cnn",
        "test in integers",
    ]
    (tmp_path / "hidden.pt").unlink()
    told.clear()
    other = recipe.with_values(density=0.5)
    run(other, data, ALONE, folder=tmp_path, teacher=teacher, progress=lambda *t: told.append(t[0]))
    assert "train dense digits_cnn" not in told


def test_ends_as_if_never_interrupted(data, tmp_path):
    recipe = small_recipe(folded=0.5)
    whole = evaluate(train(recipe, data, ALONE), recipe, data, device="cpu")

    class StopError(Exception):
        pass

    for last in (7, 13, 19):  # in the middle of an epoch

        def stop(step, done, total, text, last=last):
            if done == last:
                raise StopError

        with pytest.raises(StopError):
            train(recipe, data, ALONE, checkpoint=tmp_path / "hidden.pt", progress=stop)
    rest = evaluate(
        train(recipe, data, ALONE, checkpoint=tmp_path / "hidden.pt"), recipe, data, device="cpu"
    )
    assert rest.network == whole.network


def test_refuses_a_checkpoint_that_another_training_writes(data, tmp_path):
    recipe, path = small_recipe(epochs=2), tmp_path / "hidden.pt"
    told = []
    with alone(path, ""), pytest.raises(InputError) as raised:
        train(recipe, data, ALONE, checkpoint=path, progress=lambda *t: told.append(t))
    assert str(raised.value) == (
        f"{path}: another training is writing it: let it end, or give this one another checkpoint"
    )
    assert not told and not list(tmp_path.iterdir())
    train(recipe, data, ALONE, checkpoint=path)
    # What is trained is only read, by any number of trainings.
    with alone(path, ""):
        train(recipe, data, ALONE, checkpoint=path)
    assert [file.name for file in tmp_path.iterdir()] == ["hidden.pt"]


def test_refuses_a_checkpoint_without_a_folder_before_training(data, tmp_path):
    told = []
    with pytest.raises(InputError, match=r"hidden.pt: cannot be written: No such file"):
        train(
            small_recipe(),
            data,
            ALONE,
            checkpoint=tmp_path / "no" / "hidden.pt",
            progress=lambda *t: told.append(t),
        )
    assert not told


def test_diverging_names_the_layer(data, tmp_path):
    recipe = small_recipe(learning_rate=1e30)
    with pytest.raises(InputError, match=r"^layer '.*weights': scores of weight set \d+ must be"):
        run(recipe, data, ALONE, folder=tmp_path)


def test_untrained_network_has_the_shape_of_the_trained_one(data, tmp_path):
    recipe = small_recipe(epochs=1)
    shapes = run(recipe, data, ALONE, folder=tmp_path).network.shapes
    assert untrained(recipe.of_kind("dense"), data).shapes == shapes
