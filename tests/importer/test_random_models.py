import pytest
from importer_checks import compare
from importer_models import RandomModel

from hiddenite.golden.network import Conv

SEEDS = range(20)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_every_integer_is_the_models(tmp_path, kind, seed):
    made = RandomModel(seed, kind)
    imported = compare(made, made.result, tmp_path, seed=seed, image_range=made.image_range)
    convs = [layer for layer in imported.network.layers if isinstance(layer, Conv)]
    assert all(conv.sign is not None for conv in convs)
    assert imported.network.types[convs[-1].name] == "int32"
