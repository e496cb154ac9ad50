import json
from dataclasses import replace

import pytest

from hiddenite.cli import design
from hiddenite.rtl.configuration import PRESETS, load_configuration
from hiddenite.rtl.verilog import generate

TINY = PRESETS["tiny"]


@pytest.fixture
def quick(monkeypatch):
    """No real Verilog, which takes seconds."""
    monkeypatch.setattr(design, "generate", lambda c, name: f"module {name}; // {c.ich}\n")


def test_generate_tiny(run, tmp_path):
    ran = run("generate", "--config", "tiny", "-o", tmp_path / "new")
    assert ran.status == 0 and ran.err == ""
    assert (tmp_path / "new" / "hiddenite.v").read_text() == generate(TINY)
    assert str(tmp_path / "new" / "hiddenite.v") in ran.out
    assert str(tmp_path / "new" / "configuration.toml") in ran.out
    assert "4 x 4 x 2 x 2 = 64 PEs" in ran.out and "kB" in ran.out
    assert len(list((tmp_path / "new").iterdir())) == 2


@pytest.mark.parametrize("preset", PRESETS)
def test_configuration_file_loads(run, here, quick, preset):
    assert run("generate", "--config", preset, "-o", "a").status == 0
    assert load_configuration("a/configuration.toml") == PRESETS[preset]
    # And is taken where a preset is.
    assert run("generate", "--config", "a/configuration.toml", "-o", "b").status == 0
    assert load_configuration("b/configuration.toml") == PRESETS[preset]


def test_default_is_up5k_here(run, here, quick):
    assert run("generate").status == 0
    assert load_configuration("configuration.toml") == PRESETS["up5k"]
    assert (here / "hiddenite.v").read_text() == "module hiddenite; // 8\n"


def test_own_configuration(run, here, quick):
    own = replace(TINY, tile_words=64)
    (here / "own.toml").write_bytes(design.configuration_toml(design.Selected("a\nb", own)))
    assert (here / "own.toml").read_text().splitlines()[0].endswith("from a b")
    assert run("generate", "--config", "own.toml").status == 0
    assert load_configuration("configuration.toml") == own


def test_directories_are_made(run, here, quick):
    assert run("generate", "-o", "new/../folder/of/mine").status == 0
    assert load_configuration("folder/of/mine/configuration.toml") == PRESETS["up5k"]


@pytest.mark.parametrize(
    ("directory", "message"),
    [
        ("new/../file/in", "new/../file/in: cannot be made a directory: File exists"),
        ("file", "file: cannot be made a directory: File exists"),
        ("file/in", "file/in: cannot be made a directory: Not a directory"),
        ("taken", "taken/hiddenite.v: must be a file, not a directory"),
        ("x" * 300, f"{'x' * 300}: cannot be made a directory: File name too long"),
    ],
)
def test_refused_directory(refused, here, quick, directory, message):
    (here / "file").touch()
    (here / "taken" / "hiddenite.v").mkdir(parents=True)
    before = sorted(here.rglob("*"))
    assert refused("generate", "-o", directory) == message
    assert sorted(here.rglob("*")) == before


def test_engines_of_two_names_in_one_directory(run, here, quick):
    for name, preset in (("big", "asic"), ("small", "tiny")):
        ran = run("generate", "--config", preset, "--name", name)
        assert ran.status == 0 and f"{name}.v: " in ran.out and f"top module {name}" in ran.out
        assert (here / f"{name}.v").read_text().startswith(f"module {name};")
        assert load_configuration(f"{name}.toml") == PRESETS[preset]
    assert len(list(here.iterdir())) == 4


def test_name_that_verilog_does_not_take(refused, here):
    assert refused("generate", "--name", "2/x", "-o", "new") == (
        "name must be letters, digits and underscores, beginning with a letter, not '2/x'"
    )
    assert not list(here.iterdir())


def test_failure_leaves_what_was_there(run, here, monkeypatch):
    def fail(*_):
        raise RuntimeError("it failed")

    monkeypatch.setattr(design, "generate", fail)
    (here / "hiddenite.v").write_text("old")
    assert run("generate") == (1, "", "hiddenite: it failed\n")
    assert run("generate", "-o", "new/folder") == (1, "", "hiddenite: it failed\n")
    assert [path.name for path in here.iterdir()] == ["hiddenite.v"]
    assert (here / "hiddenite.v").read_text() == "old"


def test_configs(run):
    ran = run("configs")
    assert ran.status == 0
    for text in (*PRESETS, "4,096", "processing_elements", "timeout_cycles", "combinational"):
        assert text in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_configs_json(run):
    ran = run("configs", "--json")
    facts = json.loads(ran.out)
    assert list(facts) == list(PRESETS)
    assert facts["asic"]["processing_elements"] == 4096
    assert facts["up5k"]["activation_bytes"] == 128 * 1024
    for name, c in PRESETS.items():
        assert int(facts[name]["fingerprint"], 16) == c.fingerprint
        assert vars(c).items() <= facts[name].items()
