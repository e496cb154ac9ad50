import pytest

from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import Configuration

SIZES = {"ich": 8, "och": 4, "activation_words": 64, "tile_words": 32}


def power(name, high, value, note="", low=1):
    return name, value, f"{name} must be a power of two from {low} to {high}{note}, not {value}"


def multiple(name, unit, high, value):
    return name, value, f"{name} must be a multiple of {unit} from {unit} to {high}, not {value}"


def span(name, low, high, value):
    return name, value, f"{name} must be {low} to {high}, not {value}"


RULES = [
    power("ich", 32, 0),
    power("ich", 32, 12),
    power("ich", 32, 64),
    power("ich", 32, -4),
    power("och", 64, 0),
    power("och", 64, 3),
    power("och", 64, 128),
    power("rows", 16, 3),
    power("rows", 16, 32),
    power("cols", 16, 0),
    power("cols", 16, 32),
    power("constructor_lanes", 4, 3, " (och)"),
    power("constructor_lanes", 4, 8, " (och)"),
    power("post_lanes", 4, 3, " (the smaller of ich and och)"),
    power("post_lanes", 4, 8, " (the smaller of ich and och)"),
    power("program_bits", 64, 4, low=8),
    power("program_bits", 64, 24, low=8),
    power("program_bits", 64, 128, low=8),
    multiple("activation_words", 16, 1 << 20, 0),
    multiple("activation_words", 16, 1 << 20, 8),
    multiple("activation_words", 16, 1 << 20, 100),
    multiple("activation_words", 16, 1 << 20, -16),
    multiple("activation_words", 16, 1 << 20, (1 << 20) + 16),
    power("tile_words", 1 << 16, 8, low=16),
    power("tile_words", 1 << 16, 1 << 17, low=16),
    power("largest_map", 4096, 8, low=16),
    power("largest_map", 4096, 100, low=16),
    power("largest_kernel", 4096, 0),
    power("largest_kernel", 4096, 8192),
    power("largest_stride", 16, 3),
    power("largest_stride", 16, 32),
    power("largest_channels", 1 << 16, 32, low=64),
    power("largest_channels", 1 << 16, 1 << 17, low=64),
    span("activation_ports", 1, 2, 0),
    span("activation_ports", 1, 2, 3),
    span("read_latency", 2, 7, 1),
    span("read_latency", 2, 7, 8),
    span("constructor_period", 1, 2, 0),
    span("constructor_period", 1, 2, 3),
    span("accumulator_bits", 12, 32, 11),
    span("accumulator_bits", 12, 32, 33),
    span("timeout_cycles", 0, 2**32 - 1, -1),
    span("timeout_cycles", 0, 2**32 - 1, 2**32),
    (
        "array",
        "systolic",
        "array must be 'tree', 'flip', 'chain' or 'combinational', not 'systolic'",
    ),
    ("array", 1, "array must be a string, not 1"),
    ("shifter", "barrel", "shifter must be 'multiplexers' or 'multipliers', not 'barrel'"),
    ("output_path", "wide", "output_path must be 'short' or 'long', not 'wide'"),
    ("mask_decoder", "slow", "mask_decoder must be 'parallel' or 'serial', not 'slow'"),
    ("ich", 8.0, "ich must be an integer, not 8.0"),
    ("rows", True, "rows must be an integer, not True"),
    ("tile_words", "32", "tile_words must be an integer, not '32'"),
]


@pytest.mark.parametrize(("name", "value", "rule"), RULES)
def test_a_broken_rule_is_named(name, value, rule):
    with pytest.raises(InputError) as caught:
        Configuration(**(SIZES | {name: value}))
    assert str(caught.value) == f"configuration: {rule}"


@pytest.mark.parametrize(
    "limits",
    [
        {"ich": 1, "och": 1, "activation_words": 16, "tile_words": 16, "timeout_cycles": 0},
        {"ich": 32, "och": 64, "rows": 16, "cols": 16, "post_lanes": 32, "constructor_lanes": 64},
        {"program_bits": 64, "accumulator_bits": 32, "activation_words": 1 << 20},
        {"accumulator_bits": 12, "tile_words": 1 << 16, "activation_ports": 1},
        {"largest_map": 16, "largest_kernel": 1, "largest_stride": 1, "largest_channels": 64},
        {"largest_map": 4096, "largest_kernel": 4096, "largest_stride": 16},
    ],
)
def test_limits_are_allowed(limits):
    c = Configuration(**(SIZES | limits))
    for name, value in limits.items():
        assert getattr(c, name) == value


def test_derived_sizes():
    c = Configuration(**SIZES, rows=2, cols=4)
    assert (c.banks, c.processing_elements, c.unit) == (8, 256, 4)
    # Positions: those of 1024 pixels, and as many outside; 256 + 4 * 8 would do there.
    assert (c.address_bits, c.position_bits) == (6, 11)
    assert c.activation_bytes == 64 * 8 * 8
    odd = Configuration(**(SIZES | {"activation_words": 80}))
    assert (odd.address_bits, odd.activation_bytes) == (7, 80 * 8)
    assert c.array_latency == 5
    assert Configuration(**SIZES, array="chain").array_latency == 10
    assert Configuration(**SIZES, array="flip").array_latency == 2
    assert Configuration(**(SIZES | {"ich": 32}), array="flip").array_latency == 4
    assert Configuration(**(SIZES | {"ich": 1}), array="flip").array_latency == 2
    assert Configuration(**SIZES, array="combinational").array_latency == 1


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (
            {"read_latency": 4, "activation_ports": 1},
            "read_latency must be 2 or 3 with activation_ports of 1, not 4",
        ),
        (
            {"constructor_period": 2, "mask_decoder": "serial"},
            "constructor_period must be 1 with mask_decoder 'serial', not 2",
        ),
    ],
)
def test_what_does_not_go_together_is_named(values, rule):
    with pytest.raises(InputError) as caught:
        Configuration(**SIZES, **values)
    assert str(caught.value) == f"configuration: {rule}"


def test_fingerprint_is_that_of_what_programs_depend_on():
    base = Configuration(**SIZES)
    for same in (
        {},
        {"activation_ports": 1},
        {"array": "combinational"},
        {"shifter": "multipliers"},
        {"output_path": "long"},
        {"read_latency": 5},
        {"constructor_period": 2},
        {"timeout_cycles": 9},
    ):
        assert Configuration(**SIZES, **same).fingerprint == base.fingerprint
    others = [
        {"ich": 16},
        {"och": 8},
        {"rows": 2},
        {"cols": 2},
        {"constructor_lanes": 2},
        {"post_lanes": 2},
        {"program_bits": 16},
        {"activation_words": 128},
        {"tile_words": 64},
        {"accumulator_bits": 21},
        {"bias_bits": 33},
        {"largest_map": 512},
        {"largest_kernel": 512},
        {"largest_stride": 4},
        {"largest_channels": 512},
        # Its sums are others, so biases are.
        {"array": "flip"},
    ]
    prints = {Configuration(**(SIZES | other)).fingerprint for other in others}
    assert len(prints | {base.fingerprint}) == len(others) + 1
    assert 0 <= base.fingerprint < 1 << 32


@pytest.mark.parametrize("och, post_lanes", [(32, 8), (32, 1), (16, 8), (4, 4), (1, 1)])
def test_channels_come_before_they_go(och, post_lanes):
    """A beat is chosen a cycle after the one before, so channels must not come later than that."""
    sizes = SIZES | {"ich": 16, "och": och, "post_lanes": post_lanes, "read_latency": 7}
    far = Configuration(**sizes, array="chain", output_path="long")
    assert far.channel_delays[0] == 0
    assert all(late <= channel // post_lanes for channel, late in enumerate(far.channel_delays))
    assert max(far.channel_delays) == min(4, och // post_lanes) - 1
    for change in ({"array": "tree"}, {"output_path": "short"}, {"read_latency": 6}):
        changed = {"array": "chain", "output_path": "long"} | change
        near = Configuration(**(sizes | changed))
        assert near.channel_delays == (0,) * och
