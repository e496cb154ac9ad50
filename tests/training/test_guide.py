"""The guide's code does what the guide says, on simulated hardware."""

import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

import numpy as np

from hiddenite.cli.main import main
from hiddenite.golden.inference import infer
from hiddenite.golden.network import Network

GUIDE = Path(__file__).parents[2] / "docs" / "training.md"


def test_twenty_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)[1]
    assert len(code.splitlines()) <= 26
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    names = {}
    exec(code, names)  # the guide's own lines
    torch.set_num_threads(threads)
    assert float(capsys.readouterr().out) >= 0.99
    network, images = Network.load("mine.safetensors"), np.load("images.npy")
    test = names["data"].test
    classes = infer(network, test.images).reshape(len(test), -1).argmax(1)
    assert (classes == test.labels).mean() > 0.93
    assert main(["simulate", "mine.safetensors", "images.npy", "--config", "tiny"]) == 0
    assert len(images) == 10
    assert "bit-exact" in capsys.readouterr().out
