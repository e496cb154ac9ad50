import pytest

torch = pytest.importorskip("torch")

from hiddenite.golden.errors import InputError
from hiddenite.training.augmentation import Augmentation


def images(count=64, height=6, width=7, channels=2):
    generator = torch.Generator().manual_seed(1)
    shape = (count, height, width, channels)
    return torch.randint(1, 256, shape, generator=generator, dtype=torch.uint8)


def apply(augmentation, x, seed=0):
    return augmentation(x, torch.Generator().manual_seed(seed))


def test_nothing_changes_nothing():
    assert torch.equal(apply(Augmentation(), images()), images())


def test_flip_mirrors_some_images():
    x = images()
    y = apply(Augmentation(flip=True), x)
    same = (x == y).flatten(1).all(1)
    mirrored = (x.flip(2) == y).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 10 < same.sum() < 54


def test_shift_moves_and_fills_with_zeros():
    x = images()
    y = apply(Augmentation(shift=2), x)
    padded = torch.nn.functional.pad(x, (0, 0, 2, 2, 2, 2))
    offsets = set()
    for before, after in zip(padded, y, strict=True):
        found = [
            (dy, dx)
            for dy in range(5)
            for dx in range(5)
            if torch.equal(before[dy : dy + 6, dx : dx + 7], after)
        ]
        assert len(found) == 1
        offsets.update(found)
    assert len(offsets) > 15


def test_affine_gives_bytes_and_depends_on_the_seed_alone():
    augmentation = Augmentation(rotation=10, scaling=0.1, shift=1, flip=True)
    first, again = apply(augmentation, images()), apply(augmentation, images())
    assert first.dtype == torch.uint8 and first.shape == images().shape
    assert torch.equal(first, again)
    assert not torch.equal(first, apply(augmentation, images(), seed=1))


def test_affine_of_almost_nothing_is_almost_the_image():
    y = apply(Augmentation(rotation=1e-6), images())
    assert (y.int() - images().int()).abs().max() <= 1


@pytest.mark.parametrize("name", ["shift", "rotation", "scaling"])
def test_refuses_negative_numbers(name):
    with pytest.raises(InputError, match=f"^{name} of an augmentation must be at least 0, not -1$"):
        Augmentation(**{name: -1})
