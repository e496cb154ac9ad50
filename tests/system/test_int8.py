"""Networks of int8 activations on engines: each kind of layer, at both ends of its range."""

import numpy as np
import pytest
from rtl_helpers import network_of, random_conv
from system.cases import Case, faults

from hiddenite.golden.inference import infer
from hiddenite.golden.network import Add, AvgPool, Concat, MaxPool, Upsample
from hiddenite.rtl.configuration import PRESETS

SHAPE = 5, 6, 9
"""Of every image: rows and columns fill no pixel tile, channels no word."""


def image_of(*layers, kind="int8"):
    return network_of(SHAPE, *layers, kind=kind)


def conv(name="conv", source="image", channels=9, out_channels=9, kernel=(3, 3), seed=1, **fields):
    """A conv whose outputs are as large as an activation, and some larger than that."""
    fields = {
        "scale": np.random.default_rng(seed).integers(60, 120, out_channels).astype(np.int16),
        "padding": tuple(size // 2 for size in kernel),
        "output": "int8",
    } | fields
    rng = np.random.default_rng(seed)
    return random_conv(
        rng, channels, out_channels, kernel, name=name, input=source, index=seed, **fields
    )


def add(first, second, scales=(200, 200), **fields):
    scale, other = scales
    fields = {"name": "add", "shift": 8, "output": "int8"} | fields
    return Add(input=first, residual=second, scale=scale, residual_scale=other, **fields)


def mean(**fields):
    fields = {"name": "mean", "input": "image", "kernel": 3, "stride": 1} | fields
    return AvgPool(**fields, scale=11, shift=6)


UINT8 = conv(name="uint8", seed=2, output="uint8")
INT8 = conv(name="int8", seed=3)
RESIDUAL = {"residual": "image", "residual_scale": 256}

NETWORKS = {
    "conv": image_of(conv()),
    "conv of uint8": image_of(conv(), kind="uint8"),
    "conv to uint8": image_of(conv(output="uint8"), conv("last", "conv", seed=4)),
    "conv to int32": image_of(conv(output="int32")),
    "conv with a padding of each side": image_of(conv(padding=(0, 2, 1, 2), stride=(1, 2))),
    "conv of the padding": image_of(conv(kernel=(5, 6), padding=(4, 5, 4, 5), stride=(2, 3))),
    "strides": image_of(conv("first", seed=6), conv(source="first", stride=2, kernel=(1, 1))),
    "residual": image_of(conv(**RESIDUAL)),
    "residual to uint8": image_of(conv(output="uint8", **RESIDUAL)),
    "residual to int32": image_of(conv(output="int32", residual="image", residual_scale=2**24 - 1)),
    "residual of uint8": image_of(conv(**RESIDUAL), kind="uint8"),
    "residual of another type": image_of(UINT8, conv(source="uint8", **RESIDUAL)),
    "maxima": image_of(MaxPool(name="most", input="image", kernel=(3, 2), padding=(2, 1, 1, 0))),
    "maxima for a conv": image_of(
        MaxPool(name="most", input="image", kernel=2), conv(source="most")
    ),
    "average": image_of(mean(padding=1)),
    "average with a padding of each side": image_of(mean(kernel=(3, 4), padding=(0, 3, 2, 1))),
    "average of it all": image_of(mean(kernel=(5, 6))),
    "average of uint8": image_of(mean(padding=1), kind="uint8"),
    "add": image_of(INT8, add("image", "int8")),
    "add to uint8": image_of(INT8, add("image", "int8", (300, 300), output="uint8")),
    "add of uint8": image_of(UINT8, INT8, add("uint8", "int8"), conv("last", "add", seed=5)),
    "add to uint8 of uint8": image_of(UINT8, INT8, add("int8", "uint8", output="uint8")),
    "add of two scales": image_of(INT8, add("image", "int8", (300, 90))),
    "add of two scales of uint8": image_of(UINT8, add("uint8", "image", (90, 300))),
    "concat": image_of(INT8, Concat(name="all", inputs=["int8", "image", "int8"])),
    "concat of words": image_of(
        conv("eight", out_channels=8, seed=6),
        Concat(name="all", inputs=["eight", "eight", "image"]),
        conv(source="all", channels=25),
    ),
    "upsample": image_of(Upsample(name="large", input="image", factor=2)),
    "upsample for a conv": image_of(
        Upsample(name="large", input="image", factor=(1, 4)), conv(source="large")
    ),
}  # fmt: skip


def images(kind):
    """Noise, the lowest and the highest number everywhere, and both of them in turn."""
    ends = np.iinfo(kind).min, np.iinfo(kind).max
    rng = np.random.default_rng(7)
    noise = rng.integers(ends[0], ends[1] + 1, SHAPE)
    mixed = np.where(rng.random(SHAPE) < 0.5, *ends)
    return np.stack([noise, mixed, np.full(SHAPE, ends[0]), np.full(SHAPE, ends[1])]).astype(kind)


@pytest.mark.parametrize(
    ("preset", "simulator"), [("tiny", "verilator"), ("up5k", "verilator"), ("hx8k", "icarus")]
)
def test_hardware(preset, simulator, engines):
    c = PRESETS[preset]
    batch = min(2, c.largest_batch)
    cases, names = [], []
    for name, network in NETWORKS.items():
        own = images(network.input.type)[: 2 if simulator == "icarus" else 4]
        for at in range(0, len(own), batch):
            cases.append(Case.of_batch(network, own[at : at + batch], c))
            names.append(name)
    outcomes = engines.simulation(c, simulator).run([case.run() for case in cases])
    found = faults(cases, outcomes)
    assert not {f"{names[number]}, run {number}": fault for number, fault in found.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_results_say_something(name):
    """Outputs lie between the ends of their range, and most networks' reach both of them."""
    network = NETWORKS[name]
    result = infer(network, images(network.input.type))
    assert len(np.unique(result)) > 10
    if result.dtype != np.int32 and "average" not in name:
        assert {np.iinfo(result.dtype).min, np.iinfo(result.dtype).max} <= set(result.flat)
