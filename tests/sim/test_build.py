import re

import pytest

from hiddenite.sim.build import build


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HIDDENITE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"simulator": "other"}, "simulator must be one of verilator, icarus, not 'other'"),
        ({"word_bits": 24}, "word bits must be 8, 16, 32 or 64, not 24"),
        ({"lanes": 3}, "lanes must be a power of two from 1 to 32, not 3"),
        ({"lanes": 64}, "lanes must be a power of two from 1 to 32, not 64"),
        ({"waves": "png"}, "waves must be None, 'fst' or 'vcd', not 'png'"),
    ],
)
def test_arguments_are_checked(changed, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        build("", **{"word_bits": 64, "lanes": 4, **changed})


def test_build_is_taken_from_the_cache(own_cache, verilog, icarus_only):
    options = {"simulator": "icarus", "lanes": 4}
    first = build(verilog(64, 4), word_bits=64, **options)
    (program,) = first.directory.iterdir()
    written = program.stat().st_mtime_ns
    again = build(verilog(64, 4), word_bits=64, **options)
    assert again == first
    assert program.stat().st_mtime_ns == written
    other = build(verilog(32, 4), word_bits=32, **options)
    assert other.directory != first.directory
    assert set(own_cache.iterdir()) == {first.directory, other.directory}


def test_failed_build_leaves_nothing(own_cache, simulator):
    with pytest.raises(RuntimeError, match=r"failed:\n(.|\n)*design\.v"):
        build("module hiddenite(; endmodule", simulator=simulator, word_bits=64, lanes=4)
    assert list(own_cache.iterdir()) == []
