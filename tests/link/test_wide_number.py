import random

import pytest

from hiddenite.link.instructions import Assembler, Destination
from hiddenite.link.wide_number import WideNumber

COUNT = 3
# Those where carries go through, and some that have nothing to do with one another.
VALUES = (0, 1, 0xFF, 0x100, 0xFFFF, 0x10000, 0xFFFFFF, *random.Random(1).sample(range(1 << 24), 3))


def send(a, number):
    for at in number.places:
        a.load(at)
        a.give(Destination.SEND)


def sent(run_firmware, a, instructions=400):
    a.label("end")
    a.jump("end")
    given = run_firmware(a, instructions)
    assert {destination for destination, _ in given} == {Destination.SEND}
    values = [value for _, value in given]
    return [int.from_bytes(values[n : n + COUNT], "little") for n in range(0, len(values), COUNT)]


@pytest.fixture
def numbers():
    a = Assembler()
    a.label("first")
    return a, WideNumber.variable(a, COUNT), WideNumber.variable(a, COUNT)


def test_constants_copies_and_negatives(run_firmware, numbers):
    a, one, other = numbers
    expected = []
    for value in VALUES:
        one.set(value)
        other.copy(one)
        send(a, other)
        other.negative(one)
        send(a, other)
        expected += [value, -value % (1 << 24)]
    assert sent(run_firmware, a) == expected


def test_sums(run_firmware, numbers):
    a, one, total = numbers
    expected = []
    for x, y in zip(VALUES, reversed(VALUES), strict=True):
        one.set(x)
        total.sum(one, WideNumber.constant(a, y, COUNT))
        send(a, total)
        # In place, too.
        one.sum(one, one)
        send(a, one)
        expected += [(x + y) % (1 << 24), 2 * x % (1 << 24)]
    assert sent(run_firmware, a) == expected


@pytest.mark.parametrize("added", [1, 5, 0xFF])
def test_accumulator_is_added(run_firmware, numbers, added):
    a, one, _ = numbers
    for value in VALUES:
        one.set(value)
        a.load_constant(added)
        one.add_accumulator(f"{value} done")
        # Jumped over, whatever carries there are.
        a.give(Destination.FAULT)
        a.label(f"{value} done")
        send(a, one)
    assert sent(run_firmware, a) == [(value + added) % (1 << 24) for value in VALUES]


def test_counting_up_ends_at_zero(run_firmware, numbers):
    a, one, rounds = numbers
    expected = []
    for count in (1, 2, 3, 300):
        one.set(-count)
        rounds.set(0)
        a.label(f"{count} again")
        a.increase(rounds.places[0])
        one.count_up(f"{count} again")
        send(a, rounds)
        send(a, one)
        expected += [count % 256, 0]
    assert sent(run_firmware, a, 3000) == expected


def test_carry_stops_where_there_is_none(run_firmware, numbers):
    a, one, _ = numbers
    expected = []
    for value in VALUES:
        one.set(value)
        a.load_constant(1)
        one.add_carry(f"{value} done")
        a.label(f"{value} done")
        send(a, one)
        expected.append((value + 0x100) % (1 << 24))
    assert sent(run_firmware, a) == expected


def test_jump_unless_zero(run_firmware, numbers):
    a, one, answer = numbers
    for value in VALUES:
        one.set(value)
        answer.set(1)
        one.jump_unless_zero(f"{value} jumped")
        answer.set(0)
        a.label(f"{value} jumped")
        send(a, answer)
    assert sent(run_firmware, a) == [int(value != 0) for value in VALUES]
