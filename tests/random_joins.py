"""Random networks of what the engine does of version 2 of the network file."""

from dataclasses import replace

from random_networks import Feature
from random_networks.builder import Builder

__all__ = ["random_joined_network"]

# Of adds, concats and upsamples.
SHARES = 0.25, 0.5, 0.25

_FEATURES = frozenset(Feature)


def random_joined_network(rng, *, word=4, max_weights=4000, max_pixels=120, max_layers=9):
    """Return a random network full of layers that join tensors, and of groups.

    Parameters
    ----------
    rng : np.random.Generator
        Source of every choice.
    word : int
        Channels of which the groups of convs often have a multiple, and tensors.
    max_weights, max_pixels, max_layers : int
        As in `random_network`; there are at least two layers.

    Returns
    -------
    Network
    """
    builder = _JoinedBuilder(rng, _FEATURES, max_weights, max_pixels, max_size=9)
    builder.word = word
    for left in reversed(range(rng.integers(2, max_layers + 1))):
        builder.add_layer(last=left == 0)
    return builder.network(builder.layers)


class _JoinedBuilder(Builder):
    """Layers of all kinds, whose channels often fill words."""

    word = 4

    def add_join(self):
        return self.rng.choice([self.add_add, self.add_concat, self.add_upsample], p=SHARES)()

    def choose_groups(self, channels):
        words = channels // self.word
        if channels % self.word or self.chance(0.5):
            return super().choose_groups(channels)
        return int(self.rng.choice([g for g in range(1, words + 1) if words % g == 0]))

    def choose_out_channels(self, size, taps, groups):
        most = self.weights_left // taps
        if self.chance(0.5):
            count = groups * self.word * int(self.rng.integers(1, 3))
            return count if count <= most else 0
        return super().choose_out_channels(size, taps, groups)

    def add_add(self):
        """Often with one scale, too, which the engine adds without weights."""
        if not super().add_add():
            return False
        if self.chance(0.4):
            layer = self.layers.pop()
            self.layers.append(replace(layer, residual_scale=layer.scale))
        return True
