import re

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn import functional

from hiddenite.golden.errors import InputError
from hiddenite.training.layers.maps import map_sizes

torch.set_num_threads(1)


class Flattened(nn.Module):
    def __init__(self, flatten):
        super().__init__()
        self.flatten = flatten
        self.first, self.second = nn.Linear(24, 24), nn.Linear(24, 2)

    def forward(self, x):
        return self.second(self.first(input=self.flatten(x)))


@pytest.mark.parametrize(
    "flatten",
    [
        nn.Flatten(),
        nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Identity(), nn.ReLU()),
        lambda x: x.flatten(1),
        lambda x: torch.flatten(x, 1),
        lambda x: x.reshape(-1, 24),
        lambda x: torch.reshape(x, (len(x), 24)),
        lambda x: functional.max_pool2d(functional.interpolate(x, scale_factor=2), 2).flatten(1),
    ],
)
def test_map_however_it_is_flattened(flatten):
    sizes = map_sizes(Flattened(flatten), torch.rand(2, 4, 3, 2))
    # What the first one makes is no map, though it is as large.
    assert sizes == {"first": (3, 2), "second": (1, 1)}


def test_draws_nothing():
    model, example = Flattened(lambda x: functional.dropout(x).flatten(1)), torch.rand(2, 4, 3, 2)
    before = torch.get_rng_state()
    map_sizes(model, example)
    assert torch.equal(before, torch.get_rng_state())


class Pixels(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 3)

    def forward(self, x):
        return self.linear(x)


class Sizes(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(24, 3)

    def forward(self, x):
        return self.linear(x.flatten(1)) + self.linear(x.view(len(x), 6, 2, 2).flatten(1))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            Pixels(),
            "module 'linear' (Linear): must read one row of features for each image, not a tensor"
            " of shape (2, 4, 3, 2): put nn.Flatten before it, or use an nn.Conv2d with kernel 1",
        ),
        (
            Sizes(),
            "module 'linear' (Linear): must read maps of one size, not of 3 x 2 and of 2 x 2: use"
            " a layer for each",
        ),
        (
            nn.Linear(24, 2),
            "the model (Linear): must read one row of features for each image, not a tensor of"
            " shape (2, 4, 3, 2): put nn.Flatten before it, or use an nn.Conv2d with kernel 1",
        ),
        (
            Flattened(lambda x: x.no_such_method()),
            "example must be images that the model can compute: 'Tensor' object has no attribute"
            " 'no_such_method'",
        ),
    ],
)
def test_refuses(model, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        map_sizes(model, torch.rand(2, 4, 3, 2))
