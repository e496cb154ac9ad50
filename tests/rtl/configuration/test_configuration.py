import pytest

from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import Configuration, Sizes, Technology

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
    span("pipelining", 0, 3, -1),
    span("pipelining", 0, 3, 4),
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


@pytest.mark.parametrize("pipelining", [2, 3])
def test_what_does_not_go_together_is_named(pipelining):
    with pytest.raises(InputError) as caught:
        Configuration(**SIZES, activation_ports=1, pipelining=pipelining)
    assert str(caught.value) == (
        f"configuration: pipelining must be 0 or 1 with activation_ports of 1, not {pipelining}"
    )


def test_parts_check_themselves():
    with pytest.raises(InputError, match="ich must be a power of two from 1 to 32, not 3"):
        Sizes(**SIZES | {"ich": 3})
    with pytest.raises(InputError, match="pipelining must be 0 to 3, not 4"):
        Technology(pipelining=4)


def test_fingerprint_is_that_of_what_programs_depend_on():
    base = Configuration(**SIZES)
    for same in (
        {},
        {"activation_ports": 1},
        {"array": "combinational"},
        {"shifter": "multipliers"},
        {"pipelining": 3},
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
        # It takes its words in another order.
        {"mask_decoder": "serial"},
    ]
    prints = {Configuration(**(SIZES | other)).fingerprint for other in others}
    assert len(prints | {base.fingerprint}) == len(others) + 1
    assert 0 <= base.fingerprint < 1 << 32
