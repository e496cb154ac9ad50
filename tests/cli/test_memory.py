import io
import json

import numpy as np
import pytest
from rich.console import Console
from rtl_helpers import CONFIGURATIONS, compiled, random_conv

from hiddenite.cli import memory
from hiddenite.compiler.compile import compile_network
from hiddenite.golden.network import Concat, MaxPool
from hiddenite.rtl.configuration import PRESETS

C = CONFIGURATIONS["square"]


@pytest.fixture
def program():
    """A copy of the image, kept while it is read; an output over its residual."""
    rng = np.random.default_rng(1)
    point = MaxPool(name="point", input="image", kernel=1, stride=2)
    residual = {"residual": "image", "residual_scale": 1}
    main = random_conv(rng, 4, 4, name="main", input="image")
    added = random_conv(rng, 4, 4, name="added", input="main", **residual)
    small = random_conv(
        rng, 4, 4, name="small", input="added", stride=2, residual="point", residual_scale=1
    )
    end = MaxPool(name="end", input="small", kernel=1)
    return compiled((8, 8, 4), point, main, added, small, end, c=C)


def test_one_line(program):
    assert memory.describe_memory(program) == (
        "activation memory 40 of 1,008 words, 0.6 KiB; most is alive in added: 40 words"
    )


SHOWN = """\
written by   last read by                address   words in each bank   KiB
───────────────────────────────────────────────────────────────────────────
image        added                             0                   16   0.2
image        point          copy              16                    4   0.1
point        small                            32                    4   0.1
main         added                            16                   16   0.2
added        small                            36                    4   0.1
small        end            over point        32                    4   0.1

Words of a bank, 1 to a column: █ written, ▒ read, ░ kept for later, · free

layer   addresses                                  words alive
─────────────────────────────────────────────────────────────────────
image   ████████████████························            16
image   ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒████····················            20
point   ░░░░░░░░░░░░░░░░▒▒▒▒············████····            24
main    ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒████████████████░░░░····            36
added   ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒░░░░████            40   most
small   ································████▒▒▒▒             8
end     ································▒▒▒▒····             4
"""


def test_tensors_and_picture(program, capsys):
    memory.show_memory(program)
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in lines] == SHOWN.splitlines()


def test_a_narrow_terminal_without_boxes(program, monkeypatch):
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    narrow = Console(file=file, width=50)
    monkeypatch.setattr(memory, "console", lambda: narrow)
    monkeypatch.setattr(memory, "table", lambda headings, rows, left: tables.append(rows))
    tables = []
    memory.show_memory(program)
    file.flush()
    assert file.buffer.getvalue() == (
        b"\nWords of a bank, 3 to a column: # written, + read,\n- kept for later, . free\n\n"
    )
    assert tables[1][2][1] == "-----++...##.."


def test_facts(program):
    facts = memory.memory_facts(program)
    assert facts | {"tensors": []} == {
        "words": 40,
        "available_words": 1008,
        "bytes": 40 * 4 * 4,
        "most": {"layer": "added", "words": 40},
        "live_words": [16, 20, 24, 36, 40, 8, 4],
        "tensors": [],
    }
    copy, over = facts["tensors"][1], facts["tensors"][5]
    assert copy == {
        "name": "image",
        "copy": True,
        "over": None,
        "inside": None,
        "address": 16,
        "words": 4,
        "bytes": 4 * 4 * 4,
        "first": 1,
        "last": 2,
    }
    assert (over["name"], over["over"], over["copy"]) == ("small", "point", False)


def test_in_commands(run, here, network, network_path):
    program = compile_network(network, PRESETS["up5k"])
    line = memory.describe_memory(program)
    assert line in run("compile", network_path, "-o", here / "p").out
    plain = run("estimate", network_path).out
    assert plain.endswith(f"{line}\n")
    assert run("estimate", network_path, "--memory").out.startswith(f"{plain}\nwritten by ")
    facts = json.loads(run("estimate", network_path, "--json").out)
    assert facts["memory"] == json.loads(json.dumps(memory.memory_facts(program)))
    assert len(facts["memory"]["live_words"]) == len(facts["layers"])


SHOWN_VIEWS = """\
k            e                                 0                   48   0.8
image        e              in k               0                   16   0.2
a            e              in k               1                   16   0.2
a            e              copy, in k         2                   16   0.2
"""


def test_views(capsys):
    """Parts lie between one another; a concat has no line of its own among the layers."""
    a = MaxPool(name="a", input="image", kernel=1)
    k, e = Concat(name="k", inputs=["image", "a", "a"]), MaxPool(name="e", input="k", kernel=1)
    program = compiled((8, 8, 4), a, k, e, c=C)
    memory.show_memory(program)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[2:6] == SHOWN_VIEWS.splitlines()
    facts = memory.memory_facts(program)["tensors"]
    assert [(f["name"], f["inside"], f["address"], f["copy"]) for f in facts] == [
        ("k", None, 0, False), ("image", "k", 0, False), ("a", "k", 1, False), ("a", "k", 2, True)
    ]  # fmt: skip
