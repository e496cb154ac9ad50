import re
from dataclasses import replace

import pytest

from hiddenite.golden.errors import InputError
from hiddenite.rtl.configuration import PRESETS
from hiddenite.rtl.verilog import SYNTHESIS, TOP, generate


@pytest.fixture(scope="module")
def text():
    return generate(PRESETS["tiny"])


def preprocessed(text, defined):
    """The text with the macro for simulators or without it."""
    choice = rf"^`ifdef {SYNTHESIS}\n(.*?)^`else\n(.*?)^`endif\n"
    text = re.sub(choice, r"\1" if defined else r"\2", text, flags=re.M | re.S)
    assert "`" not in text
    return text


def modules(text):
    """Text of each module by its name; names that are not simple begin with a backslash."""
    text = preprocessed(text, defined=True)
    found = re.findall(r"^module (\S+) ?\((.*?)^endmodule", text, re.M | re.S)
    names = [name for name, _ in found]
    assert len(set(names)) == len(names)
    return dict(found)


def test_each_module_is_emitted_once(text):
    names = set(modules(text))
    assert {TOP, "hiddenite_dot_product", "hiddenite_post_lane"} <= names
    assert len([name for name in names if name.startswith("hiddenite_memory_")]) >= 2


def test_every_instance_has_its_module(text):
    c, found = PRESETS["tiny"], modules(text)
    instances = re.findall(r"^  (\S+) +\S+ +\(\n +\.", text, re.M)
    assert set(instances) <= set(found)
    assert set(found) - set(instances) == {TOP}
    assert instances.count("hiddenite_dot_product") == c.banks * c.och
    assert instances.count("hiddenite_post_lane") == c.post_lanes


@pytest.mark.parametrize("array", ["tree", "flip", "chain", "combinational"])
def test_only_chains_are_made_of_carry_cells(array):
    text = generate(replace(PRESETS["tiny"], array=array))
    found = modules(text)
    made = {name for name, body in found.items() if "CCU2C #(" in body}
    # One for each addition, the accumulator's among them.
    chains = {f"hiddenite_carry_chain_{n}" for n in range(PRESETS["tiny"].ich)}
    assert made == (chains if array == "chain" else set())
    assert "CCU2C" not in preprocessed(text, defined=False)


@pytest.mark.parametrize("name", ["tiny", "up5k"])
def test_ports(name, text):
    c = PRESETS[name]
    top = modules(text if name == "tiny" else generate(c))[TOP]
    ports = {
        port: (direction, int(high or 0) + 1)
        for direction, high, port in re.findall(
            r"^  (input|output) (?:\[(\d+):0\] )?(\w+) ?;", top, re.M
        )
    }
    assert ports == {
        "clk": ("input", 1),
        "rst": ("input", 1),
        "program__valid": ("input", 1),
        "program__ready": ("output", 1),
        "program__payload": ("input", c.program_bits + 1),
        "image__valid": ("input", 1),
        "image__ready": ("output", 1),
        "image__payload": ("input", 8 * c.post_lanes + 1),
        "result__valid": ("output", 1),
        "result__ready": ("input", 1),
        "result__payload": ("output", 32 * c.post_lanes + 1),
        "status__state": ("output", 2),
        "status__error": ("output", 4),
        "status__layer": ("output", 16),
    }


def test_text_is_the_same_every_time(text):
    assert generate(PRESETS["tiny"]) == text


def test_memories_have_no_initial_contents(text):
    assert "initial" not in "".join(
        body for name, body in modules(text).items() if name.startswith("hiddenite_memory_")
    )
    assert "$readmem" not in text


def test_nothing_of_this_machine_is_in_the_text(text):
    assert "src =" not in text
    assert not re.search(r"[\w/]+\.py\b", text)


def test_no_process_runs_at_anything_but_the_clock(text):
    assert set(re.findall(r"\balways\b.*", text)) == {
        "always @(posedge clk)",
        "always @(posedge clk) begin",
    }
    assert not re.search(r"\b(always_comb|negedge|#\d)", text)


def test_values_in_declarations_are_none(text):
    assert not re.search(r"^\s*(\(\*.*\*\) )?reg [^;]*=", text, re.M)


def test_name():
    text = generate(PRESETS["tiny"], "own")
    plain = generate(PRESETS["tiny"])
    assert re.sub(r"\bown(?=[._( ])", "hiddenite", text) == plain


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a b", "_a", "a.b", "é", "a\n"])
def test_name_that_verilog_does_not_take(name):
    with pytest.raises(InputError) as caught:
        generate(PRESETS["tiny"], name)
    assert str(caught.value) == (
        "name must be letters, digits and underscores, beginning with a letter,"
        f" not {' '.join(repr(name).split())}"
    )
