import dataclasses

import pytest
from rtl_helpers import CONFIGURATIONS, network_of

from hiddenite.compiler.layout import PLAIN, Form
from hiddenite.compiler.schedule import schedule
from hiddenite.golden.network import Concat, MaxPool
from hiddenite.rtl.program.packets import Operation

C = dataclasses.replace(CONFIGURATIONS["square"], activation_words=1 << 12)  # ich is 4


def pool(name, source, **fields):
    return MaxPool(name=name, input=source, **{"kernel": 1} | fields)


def joined(*inputs, name="k"):
    return Concat(name=name, inputs=inputs)


def planned(*layers, channels=8):
    stages, plan = schedule(network_of((6, 6, channels), *layers), C)
    inside = {
        (t.name, t.copy): (plan.tensors[t.inside].name, t.first_word)
        for t in plan.tensors
        if t.inside is not None
    }
    return [(stage.name, stage.kind) for stage in stages], inside, plan


def test_parts_are_written_in_place():
    a, b = pool("a", "image"), pool("b", "a")
    stages, inside, plan = planned(a, b, joined("a", "b", "image"), pool("e", "k"))
    assert stages == [
        ("image", "load"), ("a", "max_pool"), ("b", "max_pool"), ("e", "max_pool")
    ]  # fmt: skip
    assert inside == {
        ("a", False): ("k", 0), ("b", False): ("k", 2), ("image", False): ("k", 4)
    }  # fmt: skip
    k = plan.tensors[0]
    assert (k.name, k.writes, k.reads, k.copy) == ("k", (0, 1, 2), (3,), False)
    # What reads the whole reads each of its parts.
    assert {t.name: t.reads for t in plan.tensors} == {
        "k": (3,), "image": (1, 3), "a": (2, 3), "b": (3,)
    }  # fmt: skip
    assert plan.used == k.layout.words == 6 * 9


def test_a_part_that_lies_elsewhere_is_copied():
    a = pool("a", "image")
    twice = joined("a", "image", "a"), pool("e", "k")
    stages, inside, _ = planned(a, *twice)
    assert stages == [
        ("image", "load"), ("a", "max_pool"), ("a", "copy"), ("e", "max_pool")
    ]  # fmt: skip
    assert inside[("a", False)] == ("k", 0) and inside[("a", True)] == ("k", 4)
    two = joined("a", "image"), joined("a", "k", name="l"), pool("e", "l")
    stages, inside, _ = planned(a, *two)
    assert [stage for stage in stages if stage[1] == "copy"] == [("a", "copy")]
    assert inside[("k", False)] == ("l", 2)


def test_parts_have_the_form_in_which_the_whole_is_read():
    a = pool("a", "image")
    stages, _, plan = planned(a, joined("a", "image"), pool("e", "k", kernel=2))
    # Read plainly besides: that is copied.
    assert stages == [
        ("image", "load"), ("a", "max_pool"), ("image", "copy"), ("e", "max_pool")
    ]  # fmt: skip
    forms = {(t.name, t.copy): t.layout.form for t in plan.tensors}
    planes = Form((2, 2))
    assert forms == {
        ("k", False): planes, ("a", False): planes, ("image", True): planes,
        ("image", False): PLAIN,
    }  # fmt: skip


def test_a_whole_that_is_read_in_several_forms_is_copied():
    a = pool("a", "image")
    readers = pool("e", "k", kernel=2), pool("f", "k"), pool("g", "f", kernel=2)
    end = joined("e", "g", name="l"), pool("h", "l")
    stages, _, _ = planned(a, joined("a", "image"), *readers, *end)
    assert [stage for stage in stages if stage[1] == "copy"] == [("k", "copy")]


def test_parts_that_fill_no_words_are_packed():
    a = pool("a", "image")
    stages, inside, plan = planned(a, joined("a", "image"), pool("e", "k"), channels=6)
    # A part of the channels at a time.
    assert list(dict.fromkeys(stages)) == [
        ("image", "load"), ("a", "max_pool"), ("k", "concat"), ("e", "max_pool")
    ]  # fmt: skip
    assert inside == {
        ("a", False): ("parts of k", 0), ("image", False): ("parts of k", 2)
    }  # fmt: skip
    side = plan.tensors[0]
    assert side.layout.shape == (6, 6, 14) and side.layout.groups == 4
    assert plan.tensors[-1].layout.shape == (6, 6, 12)


def test_only_runs_of_them_are_packed():
    a, b = pool("a", "image"), pool("b", "a")
    layers = a, joined("a", "image", name="j"), b, joined("j", "a", "b", "j", name="k")
    stages, _ = schedule(network_of((6, 6, 6), *layers, pool("e", "k")), C)
    packed = [stage for stage in stages if stage.kind == "concat"]
    assert {stage.operation for stage in packed} == {Operation.CONV}
    # j has 12 channels, a and b have 12, and j again.
    by_name = {name: [s for s in packed if s.name == name] for name in "jk"}
    assert sum(stage.shape[2] for stage in by_name["j"]) == 12
    assert sum(stage.shape[2] for stage in by_name["k"]) == 12
    copies = [stage.name for stage in stages if stage.kind == "copy"]
    assert copies == ["a", "j"]


@pytest.mark.parametrize(("channels", "kinds"), [(8, ["copy"]), (6, ["concat"])])
def test_as_the_result(channels, kinds):
    """Sent by a copy, or by the conv that packs it."""
    a = pool("a", "image")
    network = network_of((6, 6, channels), a, joined("a", "image"))
    stages, _ = schedule(network, C)
    assert [stage.kind for stage in stages[2:]] == kinds
    assert stages[-1].target is None and stages[-1].shape == (6, 6, 2 * channels)
