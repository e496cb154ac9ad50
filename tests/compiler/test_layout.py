from itertools import product

import pytest
from rtl_helpers import CONFIGURATIONS, is_kept, word_of_pixel

from hiddenite.compiler.layout import PLAIN, Form, Layout, Placed

TENSORS = [
    ((5, 7, 9), PLAIN),
    ((6, 4, 3), Form((2, 1))),
    ((7, 9, 17), Form((2, 3))),
    ((3, 2, 1), Form((4, 4))),
    ((1, 1, 20), PLAIN),
    ((9, 7, 3), Form((2, 2), (True, True))),
    ((9, 7, 3), Form((2, 3), (True, False))),
    ((7, 11, 9), Form((2, 3), (False, True))),
    ((6, 10, 2), Form((1, 4), (False, True))),
    ((3, 2, 5), Form((4, 3), (True, True))),
]


def address_of(layout, y, x, group):
    """Address by the steps that a layer descriptor gets."""
    c = layout.configuration
    address = group
    for axis, position in enumerate((y, x)):
        q, phase = divmod(position, layout.phases[axis])
        address += phase * layout.plane_steps[axis]
        address += q // (c.rows, c.cols)[axis] * layout.row_steps[axis]
    return address


@pytest.mark.parametrize(("shape", "form"), TENSORS)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_word_that_is_read_has_a_place_of_its_own(name, shape, form):
    c = CONFIGURATIONS[name]
    layout = Layout(shape, form, c)
    assert layout.groups == len({k // c.ich for k in range(shape[2])})
    places = set()
    for y, x, group in product(range(shape[0]), range(shape[1]), range(layout.groups)):
        if is_kept(layout, y, x):
            bank_y, bank_x, address = word_of_pixel(Placed(layout, 100), y, x, group)
            assert address == 100 + address_of(layout, y, x, group)
            assert 100 <= address < 100 + layout.words
            assert (bank_y, bank_x, address) not in places
            places.add((bank_y, bank_x, address))


@pytest.mark.parametrize(("shape", "form"), TENSORS)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_two_pixels_of_a_window_are_in_one_bank(name, shape, form):
    """The window of a tap: rows x cols pixels that are a stride apart, wherever it begins."""
    c = CONFIGURATIONS[name]
    placed = Placed(Layout(shape, form, c), 0)
    for y, x in product(range(shape[0]), range(shape[1])):
        window = [
            (y + row * form.phases[0], x + col * form.phases[1])
            for row, col in product(range(c.rows), range(c.cols))
        ]
        inside = [(v, u) for v, u in window if v < shape[0] and u < shape[1]]
        banks = [word_of_pixel(placed, v, u, 0)[:2] for v, u in inside]
        assert len(set(banks)) == len(banks)


@pytest.mark.parametrize(("shape", "form"), TENSORS)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_views_have_words_of_the_whole(name, shape, form):
    c = CONFIGURATIONS[name]
    shape = *shape[:2], shape[2] + 2 * c.ich
    whole = Placed(Layout(shape, form, c, images=2), 100)
    outer = whole.channels(c.ich, shape[2] - c.ich)
    inner = outer.channels(c.ich, shape[2] - 2 * c.ich)
    assert (outer.address, inner.address) == (101, 102)
    for y, x in product(range(shape[0]), range(shape[1])):
        for group in range(inner.layout.groups):
            place = word_of_pixel(whole, y, x, group + 2)
            assert place == word_of_pixel(outer, y, x, group + 1)
            assert place == word_of_pixel(inner, y, x, group)
            if is_kept(inner.layout, y, x):
                assert place[2] == 102 + address_of(inner.layout, y, x, group)
                assert 0 <= place[2] - 102 < inner.layout.extent
    assert inner.layout.image_step == whole.layout.image_step
    assert inner.layout.words * whole.layout.groups == whole.layout.words * inner.layout.groups
    assert whole.layout.extent == whole.layout.words


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_rows_of_banks_of_the_whole(name):
    """Every second one along y, every third one along x."""
    c = CONFIGURATIONS[name]
    whole = Placed(Layout((9 * c.rows, 9 * c.cols, 5), PLAIN, c), 100)
    view = whole.channels(0, 3).bank_rows((1, 2), (2, 3), (4 * c.rows, 3 * c.cols))
    assert view.layout.shape == (4 * c.rows, 3 * c.cols, 3)
    for y, x in product(range(4 * c.rows), range(3 * c.cols)):
        at_y = (y // c.rows * 2 + 1) * c.rows + y % c.rows
        at_x = (x // c.cols * 3 + 2) * c.cols + x % c.cols
        for group in range(view.layout.groups):
            place = word_of_pixel(whole, at_y, at_x, group)
            assert word_of_pixel(view, y, x, group) == place
            assert place[2] == view.address + address_of(view.layout, y, x, group)


def test_size_is_that_of_the_fullest_bank():
    c = CONFIGURATIONS["square"]
    assert Layout((4, 4, 4), PLAIN, c).words == 4
    assert Layout((4, 4, 5), PLAIN, c).words == 8
    assert Layout((5, 4, 4), PLAIN, c).words == 6
    # Planes of 3x2 pixels, each a row of banks more than they fill.
    assert Layout((5, 4, 4), Form((2, 2)), c).words == 4 * 2
    # One of them, or two.
    assert Layout((5, 4, 4), Form((2, 2), (True, True)), c).words == 2
    assert Layout((5, 4, 4), Form((2, 2), (False, True)), c).words == 2 * 2


def test_a_form_for_two_readers():
    both, along_y = Form((2, 3), (True, True)), Form((2, 3), (True, False))
    assert both.merged(along_y) == along_y.merged(both) == along_y
    assert both.merged(both) == both
