import pytest
import tomli_w

from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.presets import PRESETS, load_configuration

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
