"""Every top-level folder is a subpackage, in a wheel as in an editable installation."""

import os
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
    "sim/harness.v",
    "synthesis/cells/DP16KD.v",
    "synthesis/cells/MULT18X18D.v",
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
        folder = package.removeprefix("hiddenite.").replace(".", "/")
        modules = {path.name for path in (ROOT / folder).glob("*.py")}
        assert {f"hiddenite/{folder}/{name}" for name in modules} <= names
    assert {f"hiddenite/{name}" for name in DATA} <= names


def test_every_folder_with_code_is_a_package():
    folders = {
        path.parent.relative_to(ROOT).as_posix()
        for pattern in ("*/__init__.py", "*/*/__init__.py")
        for path in ROOT.glob(pattern)
        if not path.relative_to(ROOT).parts[0].startswith((".", "build", "tests"))
    }
    packages = {folder: f"hiddenite.{folder.replace('/', '.')}" for folder in folders}
    assert set(packages.values()) == set(PACKAGES)
    directories = PROJECT["tool"]["setuptools"]["package-dir"]
    assert all(directories[package] == folder for folder, package in packages.items())


def test_only_training_needs_pytorch():
    code = (
        "import sys, pkgutil, importlib;"
        "import hiddenite.cli.main;"
        f"names = {[name for name in PACKAGES if 'training' not in name]};"
        "[importlib.import_module(f'{name}.{module.name}') for name in names"
        " for module in pkgutil.iter_modules(importlib.import_module(name).__path__)"
        " if not (name.endswith('sim') and module.name == 'testbench')];"
        "assert not {'torch', 'sklearn', 'PIL', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_the_importer_needs_onnx():
    others = [name for name in PACKAGES if not {"training", "importer"} & {*name.split(".")}]
    code = (
        "import sys, pkgutil, importlib;"
        f"names = {others};"
        "[importlib.import_module(f'{name}.{module.name}') for name in names"
        " for module in pkgutil.iter_modules(importlib.import_module(name).__path__)"
        " if not (name.endswith('sim') and module.name == 'testbench')];"
        "assert 'onnx' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


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


def test_the_wheel_has_types(wheel, tmp_path):
    """Its users' type checkers read its annotations (``py.typed``), and they are right."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    assert all(
        (tmp_path / package.replace(".", "/") / "py.typed").is_file() for package in PACKAGES
    )
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml"]
    command += [f"--package={package}" for package in PACKAGES if package.count(".") == 1]
    environment = os.environ | {"MYPYPATH": str(tmp_path)}
    checked = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
