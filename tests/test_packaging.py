"""Every top-level folder is a subpackage, in a wheel as in an editable installation."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["setuptools"]["packages"]
DATA = {
    "cli/demo/digits.safetensors",
    "cli/demo/images.npy",
    "cli/demo/labels.npy",
    "rtl/lint.vlt",
    "sim/harness.v",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source = tmp_path_factory.mktemp("source") / "hiddenite"
    ignored = shutil.ignore_patterns(".*", "build", "*.egg-info", "tests", "__pycache__")
    shutil.copytree(ROOT, source, ignore=ignored)
    target = source.parent
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", target, source]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = target.glob("*.whl")
    return path


def test_wheel_holds_every_folder_and_its_data(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in PACKAGES:
        folder = package.removeprefix("hiddenite.")
        modules = {path.name for path in (ROOT / folder).glob("*.py")}
        assert {f"hiddenite/{folder}/{name}" for name in modules} <= names
    assert {f"hiddenite/{name}" for name in DATA} <= names


def test_every_folder_with_code_is_a_package():
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert {f"hiddenite.{folder}" for folder in folders} == set(PACKAGES)
    assert PROJECT["tool"]["setuptools"]["package-dir"] == {
        package: package.removeprefix("hiddenite.") for package in PACKAGES
    }


def test_wheel_runs_without_the_project(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    # The editable installation's finder is left out: only the wheel can be imported.
    code = (
        "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)];"
        f"sys.path.insert(0, {str(tmp_path)!r});"
        "import hiddenite.cli.main as m; print(m.__file__); m.main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "configs", "--json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert result.stdout.splitlines()[0].startswith(str(tmp_path))
    assert '"up5k"' in result.stdout
