import re

import pytest

torch = pytest.importorskip("torch")

from training_helpers import small_dataset, small_recipe

from hiddenite.golden.errors import InputError
from hiddenite.training import checkpoint
from hiddenite.training.processes import Processes
from hiddenite.training.trainer import Trainer

ALONE = Processes(0, 1, torch.device("cpu"))


def trainer_of(seed=0, **values):
    return Trainer(small_recipe(**values), small_dataset(seed), ALONE)


@pytest.fixture
def saved(tmp_path):
    trainer = trainer_of()
    trainer.run_epoch()
    path = tmp_path / "hidden.pt"
    checkpoint.save(path, trainer)
    return path


def test_comes_back(saved):
    trainer = trainer_of()
    checkpoint.load(saved, trainer)
    assert trainer.epoch == 1
    assert [path.name for path in saved.parent.iterdir()] == ["hidden.pt"]


def refusal(path, trainer):
    with pytest.raises(InputError) as caught:
        checkpoint.load(path, trainer)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_refuses_another_recipe(saved):
    assert refusal(saved, trainer_of(density=0.1)) == (
        f"{saved}: checkpoint must be of the same recipe: density is 0.1 now and 0.3 there"
    )


def test_refuses_other_data(saved):
    message = refusal(saved, trainer_of(seed=5))
    pattern = "checkpoint must be of the same data: fingerprint [0-9a-f]{16} now and [0-9a-f]{16}"
    assert re.search(pattern, message)


@pytest.mark.parametrize("size", [0, 10, 1000])
def test_refuses_a_cut_file(saved, size):
    saved.write_bytes(saved.read_bytes()[:size])
    message = refusal(saved, trainer_of())
    assert message == f"{saved}: checkpoint must be a readable one, not a damaged file"


def test_refuses_another_program_s_file(saved):
    torch.save({"weights": 1}, saved)
    message = refusal(saved, trainer_of())
    assert message == f"{saved}: checkpoint must be one of this program, not another"


def test_refuses_another_format(saved):
    state = torch.load(saved, weights_only=True)
    torch.save({**state, "format": 99}, saved)
    message = refusal(saved, trainer_of())
    assert message == f"{saved}: checkpoint must be of format 1, not 99"


def test_refuses_another_architecture(saved):
    state = torch.load(saved, weights_only=True)
    for name in list(state["trainer"]["model"]):
        model = state["trainer"]["model"].copy()
        model._metadata = state["trainer"]["model"]._metadata
        del model[name]
        torch.save({**state, "trainer": {**state["trainer"], "model": model}}, saved)
        message = refusal(saved, trainer_of())
        assert message == f"{saved}: checkpoint must be of the same architecture"


def test_refuses_a_folder_that_is_not_there(tmp_path):
    path = tmp_path / "no" / "hidden.pt"
    with pytest.raises(InputError, match=r"hidden.pt: checkpoint cannot be written: "):
        checkpoint.save(path, trainer_of())
