import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("PIL")

from PIL import Image

from hiddenite.cli import training_options as module
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Conv, Network
from hiddenite.training.architectures import ARCHITECTURES
from hiddenite.training.recipe import RECIPES

QUICK = ("digits", "--epochs", "3", "--width", "0.5")


@pytest.fixture
def pictures(tmp_path):
    """A folder of 8x8 images of two classes, dark and bright."""
    random = np.random.default_rng(0)
    for part, count in (("train", 24), ("test", 8)):
        for name, level in (("dark", 60), ("bright", 160)):
            folder = tmp_path / "pictures" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 60, (8, 8)) + level
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "pictures"


def test_names_are_those_of_the_package():
    assert set(RECIPES) == set(module.RECIPE_NAMES)
    assert set(ARCHITECTURES) == set(module.ARCHITECTURE_NAMES)


def test_train_writes_a_network_that_infers(run, here):
    ran = run("train", *QUICK, "--json", "-o", "n.safetensors", "--test-images", "i.npy")
    assert ran.status == 0, ran.err
    report = json.loads(ran.out)["trained"][0]
    assert report["class_agreement"] >= 0.999
    assert report["kept"] == round(0.3 * report["weights"])
    network = Network.load("n.safetensors")
    masks = [layer.mask for layer in network.layers if isinstance(layer, Conv)]
    assert sum(mask.sum() for mask in masks) == report["kept"]
    assert sorted(path.name for path in here.iterdir()) == ["i.npy", "n.safetensors"]
    assert np.load("i.npy").shape == (100, 8, 8, 1)
    assert run("infer", "n.safetensors", "i.npy", "-o", "r.npy").status == 0


def test_train_reports_baselines_of_the_same_topology(run, here):
    ran = run("train", *QUICK, "--baseline", "binary", "--baseline", "dense", "--distill", "0.5")
    assert ran.status == 0, ran.err
    lines = ran.out.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["hidden", "binary", "dense"]
    bits = [float(line.split()[3]) for line in lines[2:5]]
    sizes = [int(line.split()[4].replace(",", "")) for line in lines[2:5]]
    assert bits[1:] == [1, 8] and sizes == sorted(sizes)
    assert "of the classes equal" in ran.out
    assert (here / "digits.safetensors").exists()


def test_train_on_a_folder_of_images(run, here, pictures):
    options = ("--architecture", "digits_cnn", "--size", "8", "--epochs", "12", "--batch", "8")
    ran = run("train", "images", "--data", pictures, *options, "--json")
    assert ran.status == 0, ran.err
    assert json.loads(ran.out)["trained"][0]["accuracy"] > 0.9
    assert Network.load("images.safetensors").classes == ("bright", "dark")


def test_train_makes_the_folders_of_its_outputs(run, here):
    options = ("-o", "a/b/n.safetensors", "--test-images", "c/i.npy", "--teacher", "d/e/t.pt")
    ran = run("train", *QUICK, "--distill", "0.5", *options)
    assert ran.status == 0, ran.err
    files = [path for path in here.rglob("*") if path.is_file()]
    assert {str(path.relative_to(here)) for path in files} == {
        "a/b/n.safetensors",
        "c/i.npy",
        "d/e/t.pt",
    }


@pytest.fixture
def one_small_preset(monkeypatch):
    """The only preset holds next to nothing."""
    small = replace(module.PRESETS["tiny"], activation_words=16)
    monkeypatch.setattr(module, "PRESETS", {"small": small})
    monkeypatch.setattr(module, "_PRESETS", ("small",))


def test_train_what_no_preset_holds(run, here, pictures, one_small_preset):
    options = ("--architecture", "resnet20", "--size", "72", "--epochs", "1", "--batch", "8")
    arguments = ("train", "images", "--data", pictures, *options, "--width", "0.5")
    ran = run(*arguments, "--baseline", "binary", "--json")
    reason = "no preset holds the network; network for configuration small: "
    assert ran.status == 0
    assert ran.err.startswith(f"hiddenite: there will be no program size: {reason}")
    assert ran.err.count("\n") == 1
    facts = json.loads(ran.out)
    assert facts["configuration"] is None and facts["no_program"].startswith(reason)
    hidden, binary = facts["trained"]
    assert hidden["program_bytes"] is None and binary["program_bytes"] is None
    assert 0.8 < hidden["bits_per_weight"] < 0.95 and hidden["kept"] > 0
    assert Network.load("images.safetensors").classes == ("bright", "dark")
    ran = run(*arguments)
    assert ran.status == 0 and f"no program: {reason}" in " ".join(ran.out.split())
    assert ran.out.splitlines()[2].split()[-1] == "none"


def test_train_saves_what_no_longer_fits(run, here, monkeypatch):
    """A bias may grow in training beyond what the configuration has bits for."""
    from hiddenite.compiler.compile import compile_network

    fits = iter([True])

    def compiled(network, c):
        if not next(fits, False):
            raise InputError("layer 'x': bias must have at most 20 bits, not 21")
        return compile_network(network, c)

    monkeypatch.setattr(module, "compile_network", compiled)
    ran = run("train", "digits", "--epochs", "1", "--width", "0.5", "--config", "up5k", "--json")
    assert ran.status == 0, ran.err
    facts = json.loads(ran.out)
    assert facts["no_program"] == (
        "network for configuration up5k: layer 'x': bias must have at most 20 bits, not 21"
    )
    assert facts["configuration"] is None and facts["trained"][0]["program_bytes"] is None
    assert Network.load("digits.safetensors").layers


def start(*arguments):
    code = "from hiddenite.cli.main import main; raise SystemExit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True
    )


def wait_for(path, child):
    deadline = time.monotonic() + 120
    while not path.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.exists()


def test_a_second_training_into_the_same_file_is_refused(refused, run, here):
    arguments = ["train", "digits", "--width", "0.25", "-o", "n.safetensors"]
    child = start(*arguments)
    try:
        checkpoint = here / "n.safetensors.checkpoints" / "hidden.pt"
        wait_for(checkpoint, child)
        for options in (["--density", "0.1"], ["--fresh"]):
            assert refused("train", "digits", *options, "-o", "./n.safetensors") == (
                "n.safetensors: another training is writing it: let it end, or give another file"
                " with -o"
            )
        assert checkpoint.exists() and child.poll() is None
        # One that is killed is in nobody's way.
        child.kill()
        child.wait()
        assert run(*arguments, "--epochs", "1", "--fresh").status == 0
        assert [path.name for path in here.glob("[!.]*")] == ["n.safetensors"]
    finally:
        child.kill()
        child.communicate()


def test_an_interrupted_training_ends_as_one_that_was_not(run, here):
    assert run("train", *QUICK, "-o", "whole.safetensors").status == 0
    child = start("train", *QUICK, "-o", "cut.safetensors")
    checkpoint = here / "cut.safetensors.checkpoints" / "hidden.pt"
    wait_for(checkpoint, child)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (130, "hiddenite: interrupted\n")
    assert checkpoint.exists() and not (here / "cut.safetensors").exists()
    assert run("train", *QUICK, "-o", "cut.safetensors").status == 0
    assert (here / "cut.safetensors").read_bytes() == (here / "whole.safetensors").read_bytes()
    assert not checkpoint.parent.exists()


def test_a_checkpoint_of_another_recipe(run, refused, here):
    folder = here / "digits.safetensors.checkpoints"
    teacher = here / "teacher.pt"
    assert run("train", *QUICK, "--distill", "0.5", "--teacher", teacher).status == 0
    assert teacher.exists() and not folder.exists()
    network = (here / "digits.safetensors").read_bytes()
    folder.mkdir()
    teacher.rename(folder / "hidden.pt")
    assert refused("train", *QUICK) == (
        f"{folder.name}/hidden.pt: checkpoint must be of the same recipe: kind is 'hidden' now"
        " and 'dense' there"
    )
    assert (here / "digits.safetensors").read_bytes() == network
    assert run("train", *QUICK, "--fresh").status == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits", "--density", "0"], "density must be above 0 and at most 1, not 0.0"),
        (["digits", "--density", "1.5"], "density must be above 0 and at most 1, not 1.5"),
        (["digits", "--one-of", "1"], "one_of must be an integer from 2 to 32768, not 1"),
        (
            ["digits", "--one-of", "4", "--density", "0.3"],
            "--density cannot be given with --one-of: one of every M weights is kept all the time,"
            " in every row",
        ),
        (["digits", "--one-of", "4", "--ramp", "0"], "--ramp cannot be given with --one-of: one "),
        (["digits", "--one-of", "4", "--scope", "layer"], "--scope cannot be given with --one-of"),
        (
            ["digits", "--teacher", "t.pt", "--baseline", "binary"],
            "--teacher t.pt needs --distill or --baseline dense, which use it",
        ),
        (
            ["digits", "--distill", "0.5", "--teacher", "/dev/null/t.pt"],
            "/dev/null/t.pt: cannot be written: Not a directory",
        ),
        (
            ["digits", "--test-images", "digits.safetensors"],
            "digits.safetensors: cannot be written: another output is to be this file",
        ),
        (["digits", "--epochs", "0"], "epochs must be at least 1, not 0"),
        (["digits", "--data", "x"], "dataset 'digits' comes with scikit-learn, not in a folder: x"),
        (["images"], "recipe images must have a folder of images: --data DIR"),
        (
            ["digits", "--device", "toaster"],
            "device must be one that PyTorch can use here, not 'toaster'",
        ),
        (["digits", "-o", "/dev/null/n"], "/dev/null/n: cannot be written: Not a directory"),
        (
            ["digits", "--width", "16", "--config", "tiny"],
            "network for configuration tiny: layer ",
        ),
        (["nothing"], "invalid value for 'RECIPE': 'nothing' is not one of 'digits', "),
    ],
)
def test_train_refuses(refused, here, arguments, message):
    assert refused("train", *arguments).startswith(message)
    assert not list(here.iterdir())


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_without_pytorch(command, monkeypatch, refused, here):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("hiddenite.training")]:
        monkeypatch.delitem(sys.modules, name)
    assert refused(command, "digits") == (
        "training must have the package 'torch', which is not installed:"
        " pip install 'hiddenite[train]'"
    )


def test_train_under_torchrun_tells_the_result_once(here):
    hiddenite = Path(sys.executable).with_name("hiddenite")
    processes = ["--standalone", "--nproc-per-node", "2", "--no-python", str(hiddenite)]
    options = ["--device", "cpu", "--threads", "1", "--json", "-o", "n.safetensors"]
    command = [sys.executable, "-m", "torch.distributed.run", *processes, "train", *QUICK, *options]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)["trained"][0]
    assert report["accuracy"] > 0.5 and report["class_agreement"] >= 0.999
    assert Network.load("n.safetensors").layers
