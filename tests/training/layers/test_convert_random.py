"""Random models of mixed forms: they are exported as they compute, or refused in one line."""

import pytest

torch = pytest.importorskip("torch")

from exported_models import check_export, random_images, trained
from random_models import RandomModel

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.convert import hide

torch.set_num_threads(1)


@pytest.mark.filterwarnings("ignore:.* is left to the host", "ignore:only .* of the classes")
@pytest.mark.parametrize("seed", range(40))
def test_exported_models_are_what_they_compute(seed, tmp_path):
    torch.manual_seed(seed)
    model = RandomModel(seed, refusable=False)
    images = random_images(8, model.image, seed=seed)
    check_export(trained(model, images), tmp_path / "a", images)


@pytest.mark.parametrize("seed", range(20))
def test_others_are_refused_by_name(seed):
    torch.manual_seed(seed)
    model = RandomModel(seed, refusable=True)
    with pytest.raises(InputError, match=r"^(node|module) '\w+' \([\w.]+\): .*$") as error:
        hide(model, random_images(1, model.image))
    assert error.match(model.refused)
