"""Imports go one way: between the folders, and between the rooms of the engine."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What each folder may import of the others, directly.
FOLDERS = {
    "golden": set(),
    "rtl": {"golden"},
    "link": {"golden", "rtl"},
    "compiler": {"golden", "rtl"},
    "sim": {"golden", "rtl", "compiler", "link"},
    "synthesis": {"golden", "rtl", "link", "sim"},
    "boards": {"golden", "rtl", "compiler", "link", "synthesis", "sim"},
    "host": {"golden", "rtl", "compiler", "link"},
    "training": {"golden", "rtl", "compiler", "sim"},
    "importer": {"golden"},
}
ROOMS = {
    "configuration": set(),
    "primitives": {"configuration"},
    "array": {"configuration", "primitives", "interfaces"},
    "program": {"configuration", "primitives", "interfaces"},
    "interfaces": {"configuration", "program"},
    "activations": {"configuration", "primitives", "interfaces", "array", "program"},
    "masks": {"configuration", "primitives", "interfaces", "array", "program", "activations"},
    "output": {"configuration", "primitives", "interfaces", "array", "program", "activations"},
}


def imports(path):
    """Modules that a file imports, by their full names."""
    package = ("hiddenite", *path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            yield ".".join((*base, *(node.module or "").split(".")))


def parts_of(folder, prefix):
    """Parts of a package that each of its files imports, besides its own."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        for name in imports(path):
            if name.startswith(f"{prefix}."):
                part = name.removeprefix(f"{prefix}.").split(".")[0]
                found.setdefault(part, set()).add(path.relative_to(ROOT).as_posix())
    return found


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_import_one_way(name):
    found = parts_of(ROOT / name, "hiddenite")
    wrong = {part: files for part, files in found.items() if part not in FOLDERS[name] | {name}}
    assert not wrong


@pytest.mark.parametrize("name", ROOMS)
def test_rooms_import_one_way(name):
    folder = ROOT / "rtl" / name
    paths = folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]
    wrong = {}
    for path in paths:
        for module in imports(path):
            room = module.removeprefix("hiddenite.rtl.").split(".")[0]
            if module.startswith("hiddenite.rtl.") and room not in ROOMS[name] | {name}:
                wrong.setdefault(room, []).append(path.name)
    assert not wrong


def test_every_room_is_named():
    rooms = {path.parent.name for path in (ROOT / "rtl").glob("*/__init__.py")}
    assert rooms == set(ROOMS) - {"interfaces"}
