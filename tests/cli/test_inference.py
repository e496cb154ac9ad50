import json

import numpy as np
import pytest
import shared_networks
from foreign_variables import FOREIGN
from rtl_helpers import with_lower_limit

from hiddenite.cli.inference import class_name
from hiddenite.golden.inference import infer, infer_layers
from hiddenite.golden.network import Add, Concat, Input, MaxPool, Network, Upsample
from hiddenite.rtl.configuration import PRESETS
from hiddenite.sim.records import OutcomeReader


def test_infer(run, here, network, network_path, images, images_path):
    ran = run("infer", network_path, images_path, "-o", "r.npy")
    assert (ran.status, ran.err) == (0, "")
    expected = infer(network, images[:3])
    result = np.load("r.npy")
    np.testing.assert_array_equal(result, expected)
    assert result.dtype == np.int32 and result.shape == (3, 1, 1, 10)
    rows = [line.split() for line in ran.out.splitlines()[2:]]
    classes = expected[:, 0, 0].argmax(-1)
    values = expected[:, 0, 0].max(-1)
    assert rows == [[str(i), str(classes[i]), f"{values[i]:,}"] for i in range(3)]


def test_infer_json(run, network_path, images_path):
    facts = json.loads(run("infer", network_path, images_path, "--json").out)
    assert facts["images"] == 3 and facts["shape"] == [1, 1, 10] and facts["type"] == "int32"
    assert len(facts["classes"]) == 3


def test_infer_labels(run, here, network, network_path, images, images_path):
    classes = infer(network, images[:3])[:, 0, 0].argmax(-1)
    np.save("l.npy", ((classes + np.array([0, 0, 1])) % 10).astype(np.uint8))
    arguments = ["infer", network_path, images_path, "--labels", "l.npy"]
    assert run(*arguments, "-o", "r.npy") == (0, "2 of 3 classes are right, 66.67%\n", "")
    facts = json.loads(run(*arguments, "--json").out)
    assert (facts["right"], facts["accuracy"]) == (2, 2 / 3)
    np.testing.assert_array_equal(np.load("r.npy"), infer(network, images[:3]))
    facts = json.loads(run("infer", network_path, images_path, "--json").out)
    assert facts["right"] is None and facts["accuracy"] is None


def test_infer_maps(run, here, network, images_path):
    network.prefix("layer1.conv").save("n")
    assert "digits: 3 results of 8 x 8 x 16, uint8, 0 to " in run("infer", "n", images_path).out
    assert json.loads(run("infer", "n", images_path, "--json").out)["classes"] is None


@pytest.fixture
def signed(here):
    """Images for a network with an int8 input; they are in `x.npy`, the network is in `n`."""
    rng = np.random.default_rng(1)
    image = Input(name="image", height=3, width=3, channels=5, type="int8")
    layers = [
        Upsample(name="u", input="image", factor=2),
        MaxPool(name="m", input="u", kernel=6),
        Concat(name="k", inputs=["m", "m"]),
        Add(name="a", input="k", scale=3, residual="k", residual_scale=4, shift=3, output="int8"),
    ]
    Network(name="signed", seed=1, input=image, layers=layers).save("n")
    images = rng.integers(-128, 128, (4, 3, 3, 5)).astype(np.int8)
    np.save("x.npy", images)
    return images


def test_infer_signed_images(run, here, signed):
    expected = signed.max((1, 2)).astype(int).repeat(2, axis=0).reshape(4, 1, 1, 10)
    expected = np.clip(expected * 7 + 4 >> 3, -128, 127)
    np.save("l.npy", expected[:, 0, 0].argmax(-1))
    assert run("infer", "n", "x.npy", "--labels", "l.npy", "-o", "r.npy").status == 0
    result = np.load("r.npy")
    assert result.dtype == np.int8
    np.testing.assert_array_equal(result, expected)
    facts = json.loads(run("infer", "n", "x.npy", "--labels", "l.npy", "--json").out)
    assert (facts["type"], facts["right"]) == ("int8", 4)
    rows = [line.split() for line in run("infer", "n", "x.npy").out.splitlines()[2:]]
    assert [row[2] for row in rows] == [str(value) for value in expected.max((1, 2, 3))]


def test_simulate_signed_images(run, here, signed):
    arguments = ["simulate", "n", "x.npy", "--config", "tiny", "--batch", "2", "-o", "r.npy"]
    ran = run(*arguments)
    assert (ran.status, ran.err) == (0, "")
    assert "4 images: bit-exact" in ran.out
    result = np.load("r.npy")
    assert result.dtype == np.int8
    np.testing.assert_array_equal(result, infer(Network.load("n"), signed))


@pytest.mark.parametrize("command", [["infer"], ["simulate", "--config", "tiny"]], ids=" ".join)
def test_images_of_the_wrong_type(refused, here, signed, network_path, images, command):
    command, *options = command
    np.save("x.npy", signed.view(np.uint8))
    assert refused(command, "n", "x.npy", *options, "-o", "r.npy") == (
        "x.npy: images for network 'signed' must be int8 of shape (N, 3, 3, 5), not uint8 of shape"
        " (4, 3, 3, 5)"
    )
    np.save("x.npy", images[:3].view(np.int8))
    assert refused(command, network_path, "x.npy", *options, "-o", "r.npy") == (
        "x.npy: images for network 'digits' must be uint8 of shape (N, 8, 8, 1), not int8 of shape"
        " (3, 8, 8, 1)"
    )
    assert not (here / "r.npy").exists()


@pytest.mark.parametrize("name", shared_networks.VERSION_2)
def test_infer_networks_of_version_2(run, here, trained_folder, name):
    folder = trained_folder(name)
    ran = run("infer", folder / "network.safetensors", folder / "images.npy", "-o", "r.npy")
    assert (ran.status, ran.err) == (0, "")
    result, expected = np.load("r.npy"), np.load(folder / "expected.npy")
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


def test_class_without_a_name(network):
    # A prefix has no names of classes.
    assert class_name(network, 3) == "3"
    assert class_name(network.prefix("layer1.conv"), 12) == "12"


def test_simulate(run, here, network, network_path, images, images_path):
    ran = run("simulate", network_path, images_path, "--config", "tiny", "-o", "r.npy")
    assert (ran.status, ran.err) == (0, "")
    assert "3 images: bit-exact" in ran.out and "4 x 4 x 2 x 2 = 64 PEs" in ran.out
    result = np.load("r.npy")
    np.testing.assert_array_equal(result, infer(network, images[:3]))
    assert result.dtype == np.int32 and result.shape == (3, 1, 1, 10)
    assert [path.name for path in here.iterdir()] == ["r.npy"]


def test_simulate_labels(run, here, network, network_path, images, images_path):
    np.save("l.npy", infer(network, images[:3])[:, 0, 0].argmax(-1))
    arguments = ["simulate", network_path, images_path, "--config", "tiny", "--labels", "l.npy"]
    ran = run(*arguments)
    assert ran.status == 0 and "\n3 of 3 classes are right, 100.00%\n" in ran.out
    facts = json.loads(run(*arguments, "--json").out)
    assert (facts["equal"], facts["right"], facts["accuracy"]) == (True, 3, 1.0)


def test_simulate_in_batches(run, network_path, images_path):
    arguments = ["simulate", network_path, images_path, "--config", "tiny", "--batch", "2"]
    alone = json.loads(run(*arguments[:-2], "--json").out)
    ran = run(*arguments)
    assert ran.status == 0 and "3 images: bit-exact" in ran.out
    assert " cycles an image in batches of 2, " in ran.out
    facts = json.loads(run(*arguments, "--json").out)
    assert (facts["equal"], facts["images"], facts["batch"]) == (True, 3, 2)
    assert len(facts["cycles"]) == 2 and facts["image_cycles"] == sum(facts["cycles"]) / 4
    assert facts["image_cycles"] < alone["image_cycles"]


def test_simulate_json(run, network_path, images_path):
    ran = run("simulate", network_path, images_path, "--config", "tiny", "--json")
    facts = json.loads(ran.out)
    assert (ran.status, ran.err) == (0, "")
    assert facts["equal"] and facts["difference"] is None
    assert len(facts["cycles"]) == 3 and sum(facts["cycles"]) == facts["simulated_cycles"]
    assert facts["cycles_per_second"] > 0 and 0 < facts["utilisation"] < 1


def test_uint8_result_and_waves(run, here, network, images, images_path):
    prefix = network.prefix("layer1.conv")
    prefix.save("n")
    ran = run(
        "simulate", "n", images_path, "--config", "tiny", "-o", "r/r.npy", "--waves", "w/x/w.vcd"
    )
    assert (ran.status, ran.err) == (0, "")
    result = np.load("r/r.npy")
    np.testing.assert_array_equal(result, infer(prefix, images[:3]))
    assert result.dtype == np.uint8
    assert "$enddefinitions" in (here / "w" / "x" / "w.vcd").read_text()
    assert sorted(path.name for path in here.rglob("*.*")) == ["r.npy", "w.vcd"]


@pytest.mark.parametrize(
    ("error", "status", "err"),
    [
        (KeyboardInterrupt(), 130, "hiddenite: interrupted\n"),
        (RuntimeError("it failed"), 1, "hiddenite: it failed\n"),
    ],
)
def test_waves_of_a_run_that_fails(
    run, here, network_path, images_path, monkeypatch, error, status, err
):
    read = OutcomeReader.read

    def fail(reader):
        if read(reader):
            raise error
        return 0

    monkeypatch.setattr(OutcomeReader, "read", fail)
    arguments = ["--config", "tiny", "-o", "r.npy", "--waves", "w.vcd"]
    assert run("simulate", network_path, images_path, *arguments) == (status, "", err)
    assert [path.name for path in here.iterdir()] == ["w.vcd"]
    content = (here / "w.vcd").read_text()
    assert "$enddefinitions" in content and content.endswith("\n")
    # A cycle is 2 ns; an image takes thousands.
    assert int(content.rpartition("\n#")[2].partition("\n")[0]) > 2000


def test_variables_of_the_user_change_nothing(run, here, network_path, images_path, monkeypatch):
    arguments = ["simulate", network_path, images_path, "--config", "tiny"]
    ran = run(*arguments)
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    again = run(*arguments)
    # But for the last line, which has seconds.
    assert (again.status, again.err) == (ran.status, ran.err) == (0, "")
    assert again.out.splitlines()[:-1] == ran.out.splitlines()[:-1]


@pytest.fixture(scope="module")
def broken(engines):
    """Verilog with a lower limit of outputs."""
    return with_lower_limit(engines.verilog(PRESETS["tiny"]))


def test_broken_hardware(
    run, here, network, network_path, images, images_path, broken, monkeypatch
):
    golden = infer_layers(network, images[:1])
    golden.pop(network.input.name)
    first = next(name for name, tensor in golden.items() if (tensor == 255).any())
    position = tuple(map(int, np.argwhere(golden[first][0] == 255)[0]))
    monkeypatch.setattr("hiddenite.sim.verify.generate", lambda c: broken)
    arguments = ["simulate", network_path, images_path, "--config", "tiny", "-o", "r.npy"]
    ran = run(*arguments)
    assert ran.status == 1
    assert "3 images: NOT bit-exact" in ran.out
    assert ran.err == (
        f"hiddenite: image 0: layer '{first}' differs first at y {position[0]}, x {position[1]},"
        f" channel {position[2]}: expected 255, got 254\n"
    )
    assert not list(here.iterdir())

    ran = run(*arguments, "--json")
    assert ran.status == 1
    facts = json.loads(ran.out)
    assert not facts["equal"] and facts["utilisation"] is None and "classes" not in facts
    difference = facts["difference"]
    assert (difference["image"], difference["layer"]) == (0, first)
    assert (difference["y"], difference["x"], difference["channel"]) == position
    assert (difference["expected"], difference["got"]) == (255, 254)


def test_failed_simulator(run, here, network_path, images_path, monkeypatch):
    monkeypatch.setattr("hiddenite.sim.verify.generate", lambda c: "module hiddenite(; endmodule")
    ran = run(
        "simulate", network_path, images_path, "--config", "tiny", "-o", "r.npy", "--waves", "w.vcd"
    )
    assert (ran.status, ran.out) == (1, "")
    lines = ran.err.splitlines()
    assert lines[0] == "hiddenite: verilator failed:" and len(lines) > 1
    assert not list(here.iterdir())


def pickled(path):
    np.save(path, np.array([{}, "x"], object), allow_pickle=True)


def archive(path):
    with path.open("wb") as file:
        np.savez(file, np.zeros(3))


@pytest.mark.parametrize("command", ["infer", "simulate"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        ("directory", "cannot be read: Is a directory"),
        (b"", "must be a .npy file of numbers: "),
        (b"no array at all, but some text", "must be a .npy file of numbers: "),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': (((((((((\n", "must be a .npy file of numbers: "),
        (
            # Says that it has a petabyte.
            b"\x93NUMPY\x01\x00\x76\x00"
            + b"{'descr': '|u1', 'fortran_order': False, 'shape': (1125899906842624, 8, 8, 1)}"
            + b"\n".rjust(39),
            "must be a .npy file of numbers: ",
        ),
        (
            # A number of thousands of digits, and white space.
            b"\x93NUMPY\x01\x00\x70\x17{'shape': (" + b"9" * 5000 + b"\n,".ljust(989),
            "must be a .npy file of numbers: ",
        ),
        (archive, "must be a .npy file of numbers: "),
        (pickled, "must be a .npy file of numbers: "),
        (
            np.zeros((2, 8, 8, 1), np.int8),
            "images for network 'digits' must be uint8 of shape (N, 8, 8, 1),"
            " not int8 of shape (2, 8, 8, 1)",
        ),
        (
            np.zeros((8, 8, 1), np.uint8),
            "images for network 'digits' must be uint8 of shape (N, 8, 8, 1),"
            " not uint8 of shape (8, 8, 1)",
        ),
        (
            np.zeros((0, 8, 8, 1), np.uint8),
            "images for network 'digits' must be at least one, not 0",
        ),
    ],
)
def test_refused_images(refused, here, network_path, command, content, message):
    path = here / "i.npy"
    if isinstance(content, str):
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, np.ndarray):
        np.save(path, content)
    elif content is not None:
        content(path)
    before = list(here.iterdir())
    line = refused(command, network_path, "i.npy", "-o", "r.npy")
    assert line.startswith(f"i.npy: {message}")
    assert list(here.iterdir()) == before


def test_fortran_order(run, here, network, network_path, images):
    np.save("i.npy", np.asfortranarray(images[:3]))
    run("infer", network_path, "i.npy", "-o", "r.npy")
    np.testing.assert_array_equal(np.load("r.npy"), infer(network, images[:3]))


@pytest.mark.parametrize("command", ["infer", "simulate"])
def test_refused_network(refused, here, images_path, command):
    (here / "n").write_bytes(b"nothing")
    line = refused(command, "n", images_path, "-o", "r.npy")
    assert line.startswith("n: must be a safetensors file: ")
    assert [path.name for path in here.iterdir()] == ["n"]


@pytest.mark.parametrize("command", ["infer", "simulate"])
def test_refused_result(refused, here, network_path, images_path, command):
    line = refused(command, network_path, images_path, "-o", "/dev/null/r.npy")
    assert line == "/dev/null/r.npy: cannot be written: Not a directory"


@pytest.mark.parametrize(
    ("waves", "message"),
    [
        ("w.txt", "waves must be a file ending in .fst or .vcd, not 'w.txt'"),
        ("/dev/null/w.vcd", "/dev/null/w.vcd: cannot be written: Not a directory"),
    ],
)
def test_refused_waves(refused, here, network_path, images_path, waves, message):
    assert refused("simulate", network_path, images_path, "--waves", waves) == message
    assert not list(here.iterdir())


def test_existing_result_is_replaced(run, here, network, network_path, images, images_path):
    (here / "r.npy").write_text("old")
    (here / "link.npy").symlink_to("r.npy")
    assert run("infer", network_path, images_path, "-o", "link.npy").status == 0
    assert (here / "link.npy").is_symlink()
    np.testing.assert_array_equal(np.load("r.npy"), infer(network, images[:3]))


def test_simulate_netlist(run, network_path, images_path, engines, monkeypatch):
    asked = []

    def netlist(c, target, progress):
        asked.append((c, target))
        return engines.verilog(c)

    monkeypatch.setattr("hiddenite.cli.inference.engine_netlist", netlist)
    arguments = ["simulate", network_path, images_path, "--config", "tiny", "--netlist", "ecp5-25f"]
    ran = run(*arguments)
    assert (ran.status, ran.err) == (0, "")
    assert "netlist for ECP5-25F" in ran.out and "bit-exact" in ran.out
    assert json.loads(run(*arguments, "--json").out)["netlist"] == "ecp5-25f"
    assert asked == [(PRESETS["tiny"], "ecp5-25f")] * 2


def test_simulate_compiles_before_it_synthesises(refused, network_path, images_path, monkeypatch):
    def netlist(*_):
        raise AssertionError("synthesised")

    monkeypatch.setattr("hiddenite.cli.inference.engine_netlist", netlist)
    arguments = ["--config", "tiny", "--netlist", "ecp5-25f", "--batch", "65"]
    largest = PRESETS["tiny"].largest_batch
    assert refused("simulate", network_path, images_path, *arguments) == (
        f"batch: must be 1 to {largest}, the largest_batch of this configuration, not 65"
    )
