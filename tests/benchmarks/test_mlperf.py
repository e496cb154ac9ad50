import re
import sys

import pytest

from hiddenite.benchmarks import mlperf_tiny
from hiddenite.benchmarks.mlperf_networks import NAMES, mlperf_network
from hiddenite.compiler.compile import compile_network
from hiddenite.golden.network import Conv
from hiddenite.rtl.configuration import PRESETS

# Of the reference models, without biases and batch normalisation.
WEIGHTS = {"resnet8": 77_360, "dscnn": 22_016, "mobilenet": 208_112, "autoencoder": 264_192}


@pytest.mark.parametrize("name", NAMES)
def test_networks_have_the_weights_of_the_reference_models(name):
    network = mlperf_network(name)
    convs = [layer for layer in network.layers if isinstance(layer, Conv)]
    assert sum(conv.mask.size for conv in convs) == WEIGHTS[name]
    kept = sum(conv.mask.sum() for conv in convs)
    assert abs(kept / WEIGHTS[name] - 0.3) < 0.01
    compile_network(network, PRESETS["up5k"])


def test_tables(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mlperf_tiny", "--density", "0.1"])
    monkeypatch.setattr(mlperf_tiny, "PRESETS", {name: PRESETS[name] for name in ("tiny", "up5k")})
    mlperf_tiny.main()
    engines, boards = capsys.readouterr().out.strip().split("\n\n")
    tiny, up5k = (re.split(r" *\| *", line) for line in engines.splitlines()[2:])
    assert tiny[1:3] == ["`tiny`", "does not fit"]
    assert all(re.fullmatch(r"[\d,]+: [\d,]+", cell) for cell in up5k[2:-1])
    icebreaker, ulx3s = boards.splitlines()[2:]
    assert icebreaker.startswith("| `icebreaker` |") and icebreaker.count("/s from flash") == 4
    assert ulx3s.startswith("| `ulx3s-25f` |") and ulx3s.count("/s from uart") == 3
