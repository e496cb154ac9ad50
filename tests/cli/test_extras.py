import importlib

import pytest

from hiddenite.cli.extras import packages_of
from hiddenite.golden.errors import InputError


def test_a_package_that_is_missing():
    with pytest.raises(InputError) as error, packages_of("train", "training"):
        importlib.import_module("no_such_package")
    assert str(error.value) == (
        "training must have the package 'no_such_package', which is not installed:"
        " pip install 'hiddenite[train]'"
    )


def test_a_module_of_ours_is_never_missing():
    with (
        pytest.raises(ModuleNotFoundError, match=r"hiddenite\.nothing"),
        packages_of("train", "it"),
    ):
        importlib.import_module("hiddenite.nothing")
