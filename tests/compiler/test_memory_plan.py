from dataclasses import replace

import pytest
from rtl_helpers import CONFIGURATIONS

from hiddenite.compiler.layout import PLAIN, Layout, Placed
from hiddenite.compiler.memory_plan import StoredTensor, plan_memory
from hiddenite.golden.errors import InputError

STAGES = ["tensor 'image'", "layer 'a'", "layer 'b'"]


def tensor(name, words, first, last):
    """A tensor of one pixel."""
    c = CONFIGURATIONS["square"]
    layout = Layout((1, 1, words * c.ich), PLAIN, c)
    assert layout.words == words
    return StoredTensor(name=name, layout=layout, writes=(first,), reads=(last,))


def test_what_is_alive_and_where():
    tensors = [tensor("image", 10, 0, 1), tensor("a", 4, 1, 2)]
    plan = plan_memory(tensors, STAGES, 16)
    assert plan.tensors == tuple(tensors)
    assert plan.addresses == (0, 10)
    assert plan.live == (10, 14, 4)
    assert (plan.used, plan.peak) == (14, 1)


def test_a_stage_in_which_nothing_is_alive():
    assert plan_memory([tensor("image", 3, 0, 1)], STAGES, 16).live == (3, 3, 0)


def test_what_does_not_fit_is_refused():
    """The message names the first layer in which most is alive."""
    tensors = [tensor("image", 40, 0, 1), tensor("a", 30, 1, 2)]
    assert plan_memory(tensors, STAGES, 70).used == 70
    with pytest.raises(InputError) as caught:
        plan_memory(tensors, STAGES, 69)
    assert str(caught.value) == (
        "layer 'a': activation memory: needs 70 words in each bank, has 69: raise activation_words"
    )


def test_a_tensor_that_is_written_over_another():
    tensors = [
        tensor("image", 4, 0, 2),
        tensor("a", 10, 1, 2),
        replace(tensor("b", 4, 2, 3), over=0),
    ]
    plan = plan_memory(tensors, [*STAGES, "layer 'c'"], 14)
    assert plan.addresses[2] == plan.addresses[0]
    assert plan.live == (4, 14, 14, 4)
    assert plan.used == 14


def test_parts_lie_in_their_whole():
    """It lives from the first that is written of it to the last that is read of it."""
    c = CONFIGURATIONS["square"]
    whole = Placed(Layout((1, 1, 5 * c.ich), PLAIN, c), 0)
    part = whole.channels(2 * c.ich, 3 * c.ich)
    tensors = [
        tensor("image", 10, 0, 3),
        StoredTensor(name="k", layout=whole.layout, writes=(1, 2), reads=(4,)),
        StoredTensor(
            name="a", layout=part.layout, writes=(1,), reads=(3, 5), inside=1, first_word=2
        ),
        StoredTensor(
            name="b",
            layout=part.channels(c.ich, c.ich).layout,
            writes=(2,),
            reads=(4,),
            inside=2,
            first_word=1,
        ),
        tensor("c", 10, 4, 5),
    ]
    plan = plan_memory(tensors, ["layer 'x'"] * 6, 16)
    assert plan.addresses == (0, 10, 12, 13, 0)
    assert plan.live == (10, 15, 15, 15, 15, 15)
    assert plan.used == 15
