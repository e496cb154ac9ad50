from rtl_helpers import CONFIGURATIONS, network_of

from hiddenite.compiler.layout import PLAIN, Form
from hiddenite.compiler.lowering.storage import Storage, word_runs
from hiddenite.compiler.lowering.work import Stored
from hiddenite.golden.network import Concat, MaxPool, Upsample

C = CONFIGURATIONS["square"]  # ich is 4
PLANES = Form((2, 2))


def pool(name, source, kernel=1):
    return MaxPool(name=name, input=source, kernel=kernel)


def storage_of(*layers, channels=8, store_result=False):
    return Storage(network_of((6, 6, channels), *layers), layers, C, store_result=store_result)


def test_runs():
    assert word_runs([4, 8, 3], 4) == [[0], [1], [2]]
    assert word_runs([3, 1, 4, 2, 2], 4) == [[0, 1], [2], [3, 4]]
    assert word_runs([3, 4, 4], 4) == [[0, 1, 2]]
    assert word_runs([3, 4, 4], 1) == [[0], [1], [2]]


def test_forms():
    found = storage_of(pool("a", "image"), pool("b", "a", 2), pool("c", "b"))
    assert found.made == {
        "image": Stored("image"), "a": Stored("a", PLANES), "b": Stored("b")
    }  # fmt: skip
    assert found.reads["b"] == (Stored("a", PLANES),)
    assert not found.inside


def test_the_result_is_stored_only_if_it_has_to_be():
    layers = pool("a", "image"), pool("b", "a")
    assert "b" not in storage_of(*layers).made
    assert storage_of(*layers, store_result=True).made["b"] == Stored("b")


def test_a_whole_inside_of_a_whole():
    inner = Concat(name="k", inputs=["image", "a"])
    outer = Concat(name="l", inputs=["a", "k"])
    found = storage_of(pool("a", "image"), inner, outer, pool("e", "l"))
    whole, part, image, a = Stored("l"), Stored("k"), Stored("image"), Stored("a")
    assert found.inside == {
        part: (whole, 8), image: (part, 0), a: (part, 8), Stored("a", PLAIN, 1): (whole, 0)
    }  # fmt: skip
    assert found.holders(image) == [image, part, whole]
    assert found.reads["l"] == (Stored("a", PLAIN, 1), part)


def test_parts_side_by_side():
    layers = pool("a", "image"), Concat(name="k", inputs=["a", "image"]), pool("e", "k", 2)
    found = storage_of(*layers, channels=6)
    (run,) = found.runs["k"]
    assert (run.first, run.parts, run.at) == (0, ("a", "image"), (0, 8))
    assert found.shape(run.holder) == (6, 6, 14)
    # They are plain, whatever the whole is.
    assert found.made["k"].form == PLANES
    assert {stored.form for stored in found.inside} == {PLAIN}


def test_an_upsample_is_plain():
    layers = Upsample(name="u", input="image", factor=(2, 2)), pool("e", "u", 2), pool("f", "e")
    found = storage_of(*layers)
    assert found.made["u"] == Stored("u") and found.reads["e"] == (Stored("u", PLANES),)
