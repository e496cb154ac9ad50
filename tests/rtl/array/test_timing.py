import pytest

from hiddenite.rtl.array.timing import array_latency, channel_delays
from hiddenite.rtl.configuration import Configuration

SIZES = {"ich": 8, "och": 4, "activation_words": 64, "tile_words": 32}


@pytest.mark.parametrize(
    ("array", "ich", "latency"),
    [
        ("tree", 8, 5),
        ("chain", 8, 10),
        ("flip", 8, 2),
        ("flip", 32, 4),
        ("flip", 1, 2),
        ("combinational", 8, 1),
    ],
)
def test_latency_of_each_build(array, ich, latency):
    assert array_latency(Configuration(**(SIZES | {"ich": ich}), array=array)) == latency


@pytest.mark.parametrize("och, post_lanes", [(32, 8), (32, 1), (16, 8), (4, 4), (1, 1)])
def test_channels_come_before_they_go(och, post_lanes):
    """A beat is chosen a cycle after the one before, so channels must not come later than that."""
    sizes = SIZES | {"ich": 16, "och": och, "post_lanes": post_lanes}
    delays = channel_delays(Configuration(**sizes, array="chain", pipelining=3))
    assert delays[0] == 0
    assert all(late <= channel // post_lanes for channel, late in enumerate(delays))
    assert max(delays) == min(4, och // post_lanes) - 1
    for change in ({"array": "tree"}, {"pipelining": 2}):
        near = Configuration(**(sizes | {"array": "chain", "pipelining": 3} | change))
        assert channel_delays(near) == (0,) * och
