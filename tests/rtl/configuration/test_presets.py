from dataclasses import replace

import pytest
import tomli_w
from memory import at_most

from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import PRESETS, Configuration, load_configuration

SIZES = {"ich": 8, "och": 4, "activation_words": 64, "tile_words": 32}


@pytest.mark.parametrize(
    ("name", "elements"),
    [
        ("tiny", 64),
        ("up5k", 128),
        ("hx8k", 128),
        ("ecp5-25f", 512),
        ("ecp5-85f", 2048),
        ("asic", 4096),
    ],
)
def test_presets(name, elements):
    c = load_configuration(name)
    assert c is PRESETS[name]
    assert c.processing_elements == elements


@pytest.fixture
def load(tmp_path):
    """Loads a configuration file with the given bytes; returns it and the file's path."""
    path = tmp_path / "engine.toml"

    def write(content):
        path.write_bytes(content)
        return load_configuration(str(path))

    write.path = path
    return write


def test_a_file_is_loaded(load):
    values = SIZES | {"rows": 2, "array": "combinational"}
    assert load(tomli_w.dumps(values).encode()) == Configuration(**values)


def test_a_file_may_start_from_a_preset(load):
    loaded = load(b'preset = "up5k"\ntile_words = 128\npipelining = 1\n')
    assert loaded == replace(PRESETS["up5k"], tile_words=128, pipelining=1)


@pytest.mark.parametrize("preset", ["huge", 5, ["tiny"]])
def test_a_preset_that_is_none_is_refused(load, preset):
    with pytest.raises(InputError) as caught:
        load(tomli_w.dumps({"preset": preset}).encode())
    assert str(caught.value) == (
        f"configuration {load.path}: preset must be one of tiny, up5k, hx8k, ecp5-25f, "
        f"ecp5-85f, asic, not {preset!r}"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (SIZES | {"lanes": 2}, "configuration {path}: unknown key 'lanes'"),
        *(
            (
                {k: v for k, v in SIZES.items() if k != key},
                f"configuration {{path}}: key {key!r} is missing",
            )
            for key in SIZES
        ),
    ],
)
def test_a_file_with_wrong_keys_is_refused(load, values, message):
    with pytest.raises(InputError) as caught:
        load(tomli_w.dumps(values).encode())
    assert str(caught.value) == message.format(path=load.path)


def test_a_file_may_begin_with_a_byte_order_mark(load):
    content = b"\xef\xbb\xbf" + tomli_w.dumps(SIZES).encode()
    assert load(content) == Configuration(**SIZES)


@pytest.mark.parametrize("content", [b"ich = ", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_refused(load, content):
    with pytest.raises(InputError) as caught:
        load(content)
    assert str(caught.value).startswith(f"configuration {load.path}: not TOML: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a" + ".a" * 20_000 + " = 1", "must be at most 8,192 bytes, not 40,005"),
        ("ich = " + "9" * 5000, "must not hold a number of thousands of digits"),
        ("ich = " + "[" * 4000 + "]" * 4000, "nested too deeply"),
        ("ich = " + "{a = " * 1000 + "1" + "}" * 1000, "nested too deeply"),
        ("a" + ".a" * 4000 + " = 1", "unknown key 'a'"),
    ],
    ids=range(5),
)
def test_a_file_that_asks_for_much_is_refused(load, content, message):
    with at_most(128 * 2**20), pytest.raises(InputError) as caught:
        load(content.encode())
    assert str(caught.value) == f"configuration {load.path}: {message}"


def test_a_large_file_is_not_read(load):
    load.path.touch()
    with load.path.open("wb") as file:
        file.truncate(10**12)
    with at_most(2**20), pytest.raises(InputError) as caught:
        load_configuration(str(load.path))
    assert str(caught.value).endswith("must be at most 8,192 bytes, not 1,000,000,000,000")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "0x" + "f" * 7000,
            "ich must be a power of two from 1 to 32, not an integer of 28000 bits",
        ),
        ("9" * 4000, "ich must be a power of two from 1 to 32, not an integer of 13288 bits"),
        ("[" + "1, " * 2000 + "]", "ich must be an integer, not [1, 1, 1, 1, 1, 1, 1, 1, ...]"),
        ('"' + "x" * 7000 + '"', f"ich must be an integer, not '{'x' * 47}...{'x' * 48}'"),
    ],
    ids=range(4),
)
def test_messages_are_short_whatever_the_value(load, value, message):
    sizes = tomli_w.dumps({key: size for key, size in SIZES.items() if key != "ich"})
    with pytest.raises(InputError) as caught:
        load(f"ich = {value}\n{sizes}".encode())
    assert str(caught.value) == f"configuration: {message}"


def test_a_file_that_cannot_be_read_is_refused(load, monkeypatch):
    load.path.touch()

    def fail(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_text", fail)
    with pytest.raises(InputError) as caught:
        load_configuration(str(load.path))
    assert str(caught.value) == f"configuration {load.path}: Permission denied"


def test_a_rule_holds_in_files_too(load):
    with pytest.raises(InputError, match="ich must be a power of two from 1 to 32, not 5"):
        load(tomli_w.dumps(SIZES | {"ich": 5}).encode())


def test_a_name_that_is_nothing_is_refused():
    with pytest.raises(InputError) as caught:
        load_configuration("huge")
    assert str(caught.value) == (
        "configuration: must be a preset (tiny, up5k, hx8k, ecp5-25f, ecp5-85f, asic) or "
        "a TOML file, not 'huge'"
    )
