import re
from dataclasses import replace

import pytest
from rtl_helpers import with_lower_limit

from hiddenite.cli.demonstration import load_demo
from hiddenite.cli.design import configuration_toml
from hiddenite.cli.options import Selected
from hiddenite.golden.inference import infer
from hiddenite.rtl.configuration import PRESETS, load_configuration
from hiddenite.rtl.verilog import generate


def test_the_network_knows_the_digits():
    network, images, labels = load_demo()
    assert images.shape == (100, 8, 8, 1) and labels.shape == (100,)
    assert (infer(network, images)[:, 0, 0].argmax(-1) == labels).mean() >= 0.95
    assert len(network.classes) == 10


def test_demo(run, here):
    ran = run("demo", "--config", "tiny", "--images", "5")
    assert (ran.status, ran.err) == (0, "")
    labels = load_demo()[2]
    for number in range(5):
        assert re.search(rf"^{number} +{labels[number]} +{labels[number]} +yes ", ran.out, re.M)
    for text in (
        "image 0: 7",
        "█",
        "accuracy: 5 of 5 images as labelled",
        "bit-exact, the hardware equals the golden model: 5 images, every bit compared",
        "of the PEs used",
        "mask bits per weight (a binary network: 1)",
        "cycles a second in verilator",
        "Verilog: hiddenite-demo/hiddenite.v, ",
        "4 x 4 x 2 x 2 = 64 PEs",
    ):
        assert text in ran.out
    # Every step is named, with its time.
    for step in ("generate Verilog", "compile the network", "build the simulator", "simulate"):
        assert len(re.findall(rf"^  {step} +\d+\.\d s$", ran.out, re.M)) == 1
    folder = here / "hiddenite-demo"
    assert (folder / "hiddenite.v").read_text() == generate(PRESETS["tiny"])
    assert load_configuration(str(folder / "configuration.toml")) == PRESETS["tiny"]


def test_demo_in_icarus(run, here, engines):
    """The default configuration, as it is emitted, in a simulator that keeps to the standard."""
    engines.require("icarus")
    ran = run("demo", "--images", "1", "--simulator", "icarus")
    assert (ran.status, ran.err) == (0, "")
    assert "bit-exact, the hardware equals the golden model: 1 image, every bit" in ran.out


def test_broken_hardware(run, here, monkeypatch):
    monkeypatch.setattr(
        "hiddenite.cli.design.generate", lambda c, name: with_lower_limit(generate(c, name))
    )
    ran = run("demo", "--config", "tiny", "--images", "1", "-o", "mine")
    assert ran.status == 1
    assert "NOT bit-exact" in ran.out and "accuracy" not in ran.out
    assert ran.err.startswith("hiddenite: image 0: layer 'layer4.branch.conv' differs first at y ")
    assert ran.err.count("\n") == 1
    assert (here / "mine" / "hiddenite.v").is_file()


def test_too_small_a_configuration(refused, here):
    small = replace(PRESETS["tiny"], activation_words=16)
    (here / "small.toml").write_bytes(configuration_toml(Selected("small", small)))
    assert "activation memory" in refused("demo", "--config", "small.toml")
    assert [path.name for path in here.iterdir()] == ["small.toml"]


@pytest.mark.parametrize("count", ["0", "101", "-1"])
def test_refused_number_of_images(refused, here, count):
    assert "'--images'" in refused("demo", "--images", count)
    assert not list(here.iterdir())
