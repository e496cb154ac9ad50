"""Named configurations, and those in files."""

import tomllib
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from hiddenite.golden.checks import one_line
from hiddenite.golden.errors import InputError

from .configuration import Configuration

__all__ = ["LARGEST_FILE", "PRESETS", "load_configuration"]

LARGEST_FILE = 8192
"""Bytes of a configuration's file at most; all its keys take less than a tenth of them. The time
to read keys with many dots grows with the square of their length."""

# What networks for FPGAs are at most.
_NETWORKS: dict[str, Any] = {
    "largest_map": 256,
    "largest_kernel": 32,
    "largest_stride": 4,
    "largest_channels": 2048,
}
# What is small on an iCE40, beside activations of 8 bits.
_ICE40: dict[str, Any] = {
    "tile_words": 256,
    "accumulator_bits": 18,
    "bias_bits": 20,
    "array": "flip",
    "mask_decoder": "serial",
}
# What is fast on an ECP5: chains of carry cells, and registers on every long way.
_ECP5: dict[str, Any] = {
    "activation_words": 2048,
    "tile_words": 1024,
    "bias_bits": 24,
    "largest_batch": 16,
    "array": "chain",
    "pipelining": 2,
}

PRESETS: dict[str, Configuration] = {
    "tiny": Configuration(
        ich=4,
        och=4,
        rows=2,
        cols=2,
        constructor_lanes=2,
        post_lanes=2,
        activation_words=2048,
        tile_words=1024,
        largest_map=256,
        largest_kernel=32,
        largest_stride=4,
        largest_channels=1024,
        largest_batch=4,
        timeout_cycles=1 << 16,
    ),
    "up5k": Configuration(
        ich=8,
        och=16,
        constructor_lanes=1,
        activation_words=1 << 14,
        activation_ports=1,
        shifter="multipliers",
        **_ICE40,
        **_NETWORKS,
    ),
    "hx8k": Configuration(
        ich=8,
        och=8,
        cols=2,
        activation_words=256,
        **_ICE40,
        **_NETWORKS,
    ),
    "ecp5-25f": Configuration(
        ich=8,
        och=16,
        rows=2,
        cols=2,
        constructor_lanes=4,
        post_lanes=4,
        program_bits=16,
        **_ECP5,
        **_NETWORKS,
    ),
    "ecp5-85f": Configuration(
        ich=16,
        och=32,
        rows=2,
        cols=2,
        constructor_lanes=8,
        post_lanes=8,
        program_bits=32,
        accumulator_bits=22,
        **(_ECP5 | {"pipelining": 3}),
        **_NETWORKS,
    ),
    "asic": Configuration(
        ich=16,
        och=16,
        rows=4,
        cols=4,
        constructor_lanes=16,
        post_lanes=16,
        post_pixels=4,
        program_bits=64,
        activation_words=4096,
        tile_words=1024,
        accumulator_bits=22,
        array="combinational",
        largest_map=512,
        largest_kernel=64,
        largest_stride=4,
        largest_channels=4096,
        largest_batch=16,
    ),
}
"""Named configurations. tiny: tests; up5k, hx8k: iCE40, 128 PEs; ecp5-25f: 512 PEs;
ecp5-85f: 2,048 PEs; asic: 4,096 PEs, the array of the Hiddenite chip."""


def load_configuration(name: str) -> Configuration:
    """Preset of that name, or the configuration in the TOML file of that path.

    A file may begin with a preset, ``preset = "up5k"``, and say only what differs from it.

    Raises
    ------
    InputError
        Neither a preset nor a readable file, or a file that breaks a rule.
    """
    if name in PRESETS:
        return PRESETS[name]
    path = Path(name)
    if not path.is_file():
        raise InputError(
            f"configuration: must be a preset ({', '.join(PRESETS)}) or a TOML file, not {name!r}"
        )
    values = _read_toml(path)
    known = {field.name: field for field in fields(Configuration)}
    start = {}
    if "preset" in values:
        preset = values.pop("preset")
        if preset not in list(PRESETS):
            raise InputError(
                f"configuration {name}: preset must be one of {', '.join(PRESETS)}, "
                f"not {one_line(preset)}"
            )
        start = asdict(PRESETS[preset])
    for key in values:
        if key not in known:
            raise InputError(f"configuration {name}: unknown key {one_line(key)}")
    values = start | values
    for key, field in known.items():
        if key not in values and field.default is MISSING:
            raise InputError(f"configuration {name}: key {key!r} is missing")
    return Configuration(**values)


def _read_toml(path: Path) -> dict[str, Any]:
    where = f"configuration {path}"
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise InputError(f"{where}: must be at most {LARGEST_FILE:,} bytes, not {size:,}")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{where}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{where}: not TOML: {error}") from None
    except RecursionError:
        raise InputError(f"{where}: nested too deeply") from None
    except ValueError:
        # Python reads decimal integers up to a length that it says in terms of its own settings.
        raise InputError(f"{where}: must not hold a number of thousands of digits") from None
