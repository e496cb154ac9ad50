import os
import subprocess
import sys

import pytest
from cocotb_tools import config
from foreign_variables import FOREIGN

from hiddenite.sim import launchers
from hiddenite.sim.launchers import failure, launch

PRINT = "import os, sys; print(*sys.argv[1:]); print(*(f'{n}={v}' for n, v in os.environ.items()))"


@pytest.fixture
def started(tmp_path, monkeypatch):
    """What a program is started with in a simulator's place: (arguments, environment)."""

    def start(simulator, **options):
        command = getattr(launchers, f"_{simulator}")
        monkeypatch.setattr(
            launchers, f"_{simulator}", lambda *own: [sys.executable, "-c", PRINT, *command(*own)]
        )
        log = tmp_path / "log"
        options |= {"testbench": "some.module", "variables": {"OWN": "1"}}
        launch(simulator, tmp_path / "build", tmp_path, log, **options)
        arguments, environment = log.read_text().splitlines()
        return arguments, dict(part.split("=", 1) for part in environment.split(" ") if "=" in part)

    return start


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_simulators_get_cocotbs_variables_and_none_of_the_users(started, monkeypatch, simulator):
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    _, found = started(simulator)
    assert found["OWN"] == "1"
    assert found["COCOTB_TEST_MODULES"] == "some.module" and found["COCOTB_TOPLEVEL"] == "harness"
    assert found["PYGPI_PYTHON_BIN"] == sys.executable
    assert found["PYTHONPATH"].split(os.pathsep) == sys.path
    own = {"COCOTB_TEST_MODULES", "COCOTB_TOPLEVEL", "COCOTB_RESULTS_FILE", "COCOTB_ANSI_OUTPUT"}
    own |= {"PYGPI_PYTHON_BIN", "GPI_USERS", "TOPLEVEL_LANG"}
    assert FOREIGN.keys() & found.keys() == own
    assert all(FOREIGN[name] != found[name] for name in own)


@pytest.mark.parametrize("suffix", ["fst", "vcd"])
def test_waves(started, tmp_path, suffix):
    waves = tmp_path / f"w.{suffix}"
    assert f"build/harness --trace --trace-file {waves} " in started("verilator", waves=waves)[0]
    assert started("icarus", waves=waves)[0].endswith(f" +dumpfile_path={waves} -{suffix}")


def test_without_waves(started, tmp_path):
    assert "--trace" not in started("verilator")[0]
    assert started("icarus")[0].endswith("build/sim.vvp -none")


def test_cocotb_is_entered_where_it_says():
    assert launchers._entry_point() == config.pygpi_entry_point()


def test_this_process_does_not_import_cocotb():
    # Which stops with an error as soon as one of the user's variables is not to its taste.
    code = "import sys, hiddenite.cli.main, hiddenite.sim.board; assert 'cocotb' not in sys.modules"
    environment = os.environ | {"COCOTB_SCHEDULER_DEBUG": "perhaps"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_failure_ends_with_the_log(tmp_path):
    log = tmp_path / "log"
    assert str(failure("it failed", log)) == "it failed"
    log.write_text("".join(f"{number}\n" for number in range(100)))
    assert str(failure("it failed", log)).splitlines() == ["it failed", *map(str, range(70, 100))]
