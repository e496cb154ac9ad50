import random

import pytest

from hiddenite.golden.errors import InputError
from hiddenite.link.controller import instruction_cycles
from hiddenite.link.instructions import (
    CODE_WORDS,
    DIRECT_PAGE,
    MEMORY_BYTES,
    Assembler,
    Condition,
    Destination,
    Source,
)


def test_fast_clocks_take_more_cycles():
    assert [instruction_cycles(mhz * 1_000_000) for mhz in (12, 60, 61, 100)] == [2, 2, 5, 5]


def test_arithmetic(run_firmware):
    rng = random.Random(1)
    a, expected = Assembler(), []
    at, sum_ = a.variables(2), a.variables()
    a.label("first")
    for _ in range(6):
        x, y, z = rng.randrange(65536), rng.randrange(65536), rng.randrange(256)
        results = []
        for one, low, high in ((x + y, a.add, a.add_carry), (x - y, a.subtract, a.subtract_carry)):
            for n, operation in enumerate((low, high)):
                a.load_constant(x >> 8 * n)
                operation(a.constant(y >> 8 * n))
                a.store(at + n)
                a.give(Destination.SEND)
                results.append(one >> 8 * n & 255)
        a.load_constant(z)
        a.store(sum_)
        a.mask(a.constant(x))
        a.add_to(sum_)
        a.give(Destination.SEND)
        a.load(sum_)
        a.give(Destination.SEND)
        a.clear(sum_)
        a.load(sum_)
        a.give(Destination.SEND)
        results += [z & x & 255, (z + (z & x)) & 255, 0]
        expected += results
    a.label("end")
    a.jump("end")
    assert run_firmware(a, 300) == [(Destination.SEND, value) for value in expected]


def test_pages_sources_and_destinations(run_firmware):
    a = Assembler()
    variable = a.variables()
    a.place(0x234, b"\x77")
    a.label("first")
    a.load_constant(2)
    a.give(Destination.PAGE)
    a.load_constant(0x34)
    a.fetch(Destination.PROGRAM_LAST)
    a.put(Source.RESULT)
    a.fetch(Destination.IMAGE)
    a.load_constant(DIRECT_PAGE >> 8)
    a.give(Destination.PAGE)
    a.load_constant(DIRECT_PAGE % 256 + variable)
    a.put(Source.REMAINING)
    a.load(variable)
    a.give(Destination.SEND_LAST)
    a.move(Destination.PROGRAM, Source.FLASH)
    a.give(Destination.SEND)
    a.take(Source.ERROR)
    a.give(Destination.BEGIN)
    a.pass_on(Destination.REMAINING, Source.LAYER)
    a.give(Destination.SEND)
    a.label("end")
    a.jump("end")
    assert run_firmware(a, 30) == [
        (Destination.PAGE, 2),
        (Destination.PROGRAM_LAST, 0x77),
        (Destination.IMAGE, 0x52),
        (Destination.PAGE, 3),
        (Destination.SEND_LAST, 0x57),
        (Destination.PROGRAM, 0x53),
        (Destination.SEND, 0x57),
        (Destination.BEGIN, 0x55),
        (Destination.REMAINING, 0x56),
        (Destination.SEND, 0x56),
    ]


@pytest.mark.parametrize("condition", [Condition.RECEIVED, Condition.RIGHT, Condition.FLASH_MOVED])
def test_conditions(run_firmware, condition):
    for wanted in (0, 1):
        a = Assembler()
        a.label("first")
        a.jump_if(condition, "holds")
        a.load_constant(0)
        a.give(Destination.FAULT)
        a.label("holds")
        a.jump_unless(condition, "end")
        a.load_constant(1)
        a.give(Destination.FAULT)
        a.label("end")
        a.jump("end")
        bits = wanted << condition - Condition.RECEIVED
        assert run_firmware(a, 20, bits) == [(Destination.FAULT, wanted)]


def test_threads(run_firmware):
    """They take turns; `BEGIN` brings the second one back to its beginning."""
    a = Assembler()
    a.label("first")
    for n in range(3):
        a.load_constant(n)
        a.give(Destination.SEND)
        a.switch()
    a.give(Destination.BEGIN)
    a.switch()
    a.label("end")
    a.jump("end")
    a.label("second")
    for n in range(10, 14):
        a.load_constant(n)
        a.give(Destination.PROGRAM)
        a.switch()
    given = run_firmware(a, 50, second="second")
    assert [value for _, value in given] == [0, 10, 1, 11, 2, 12, 12, 10]


def test_what_does_not_fit():
    a = Assembler()
    with pytest.raises(InputError, match="variables of the firmware do not fit"):
        a.variables(MEMORY_BYTES - DIRECT_PAGE + 1)
    a = Assembler()
    a.label("first")
    for _ in range(CODE_WORDS + 1):
        a.jump("first")
    with pytest.raises(InputError, match="firmware does not fit"):
        a.finish()
