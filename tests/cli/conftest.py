from importlib import resources
from typing import NamedTuple

import numpy as np
import pytest

from hiddenite.cli.main import main
from hiddenite.golden.network import Network


class Ran(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys):
    """Run the command line in this process: (status, out, err)."""

    def run(*arguments):
        status = main([str(a) for a in arguments])
        return Ran(status, *capsys.readouterr())

    return run


@pytest.fixture
def refused(run):
    """Run the command line, which must refuse what it is given with one line; return the line."""

    def refused(*arguments):
        ran = run(*arguments)
        assert ran.status == 2
        assert ran.out == ""
        assert ran.err.startswith("hiddenite: ") and ran.err.count("\n") == 1
        return ran.err.removeprefix("hiddenite: ").removesuffix("\n")

    return refused


@pytest.fixture(scope="session")
def demo_folder():
    with resources.as_file(resources.files("hiddenite.cli") / "demo") as folder:
        yield folder


@pytest.fixture(scope="session")
def network_path(demo_folder):
    return demo_folder / "digits.safetensors"


@pytest.fixture(scope="session")
def network(network_path):
    return Network.load(network_path)


@pytest.fixture(scope="session")
def images(demo_folder):
    return np.load(demo_folder / "images.npy")


@pytest.fixture
def images_path(tmp_path, images):
    """Three images, in a folder of their own."""
    folder = tmp_path / "given"
    folder.mkdir()
    np.save(folder / "images.npy", images[:3])
    return folder / "images.npy"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current directory."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
