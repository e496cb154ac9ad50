"""A small processor with two threads, which runs the link's firmware."""

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .instructions import MEMORY_BYTES, Condition, Destination, Source

__all__ = ["Controller", "instruction_cycles"]

_OUTSIDE = Condition.FLASH_MOVED - Condition.RECEIVED + 1
_FAST_CLOCK_HZ = 60_000_000


def instruction_cycles(clock_hz: int) -> int:
    """Cycles of an instruction: 2, or with a clock above 60 MHz 5."""
    return 5 if clock_hz > _FAST_CLOCK_HZ else 2


class Controller(wiring.Component):
    """Executes one instruction (`instructions`) every two or five cycles.

    Of two, a jump is decided and memory is read in the first; in the second the result is computed
    and written, and the next instruction is read. Of five, each step ends in a register::

        0             1              2               3            4
        instruction   memory, jump   value           result       written, next instruction

    The threads share everything but the place where they are; each runs until it gives way to the
    other.

    Parameters
    ----------
    cycles : int
        Of an instruction: 2 or 5.
    code : sequence of int
    contents : bytes
        What is in the memory after power-up; it stays over a reset.
    first, second : int
        Where the threads begin, the first one first.

    Members
    -------
    conditions : those from `Condition.RECEIVED` on
    source : what `value` is to be
    value : for this source
    result : for the destination
    destination : where `result` goes (for one cycle; 0: nowhere)
    taken : the source has been taken (for one cycle)
    """

    def __init__(self, cycles: int, code: Sequence[int], contents: bytes, first: int, second: int):
        self.cycles, self.code, self.contents = cycles, code, contents
        self.first, self.second = first, second
        super().__init__(
            {
                "conditions": In(_OUTSIDE),
                "source": Out(Source),
                "value": In(8),
                "result": Out(8),
                "destination": Out(4),
                "taken": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # Nothing is read in the cycle that writes it.
        m.submodules.code = rom = memory.Memory(
            shape=16, depth=1 << ceil_log2(len(self.code)), init=self.code
        )
        m.submodules.bytes = ram = memory.Memory(
            shape=8, depth=MEMORY_BYTES, init=self.contents, attrs={"no_rw_check": 1}
        )
        fetch, read, write = rom.read_port(), ram.read_port(), ram.write_port()

        def step(value, name):
            """The value, at the end of a step."""
            if self.cycles == 2:
                return value
            kept = Signal(len(value), name=name, reset_less=True)
            m.d.sync += kept.eq(value)
            return kept

        # One bit for each cycle. After a reset the first thing is to read an instruction.
        begun, cycle = Signal(), Signal(self.cycles, init=1 << self.cycles - 1)
        execute = Signal()
        m.d.sync += [begun.eq(1), cycle.eq(cycle.rotate_left(1))]
        instruction = step(fetch.data, "instruction")
        jumps = instruction[15]
        m.d.comb += execute.eq(cycle[-1] & begun & ~jumps)

        # Where the threads are.
        place, other = Signal(10, init=self.first), Signal(10, init=self.second)
        following = Signal(10)
        zero, carry = Signal(), Signal()
        condition = instruction[10:14]
        holds = Array([Const(1), zero, carry, *self.conditions, 0])[condition]
        goes = step(jumps & (holds ^ instruction[14]), "goes")
        switches = jumps & (condition == Condition.SWITCH)
        m.d.comb += [
            following.eq(Mux(goes, instruction[:10], place + 1)),
            fetch.addr.eq(place),
            fetch.en.eq(cycle[-1]),
        ]
        with m.If(cycle[0 if self.cycles == 2 else 2]):
            m.d.sync += place.eq(Mux(switches, other, following))
            with m.If(switches):
                m.d.sync += other.eq(following)
        with m.If(self.destination == Destination.BEGIN):
            m.d.sync += other.eq(other.init)

        # Memory.
        acc, page = Signal(8), Signal(2)
        address = Signal(10)
        outside = instruction[7]
        m.d.comb += [
            address.eq(Mux(instruction[8], Cat(acc, page), Cat(instruction[:7], Const(7, 3)))),
            read.addr.eq(address),
            write.addr.eq(address),
            write.data.eq(self.result),
            write.en.eq(execute & instruction[14]),
            self.source.eq(instruction[:3]),
            self.taken.eq(execute & outside),
            self.destination.eq(Mux(execute & outside, instruction[3:7], 0)),
        ]

        # Arithmetic.
        operand, carried, total, carry_out = Signal(8), Signal(), Signal(10), Signal()
        adds, kind = instruction[12], instruction[10:12]
        from_outside = outside & (self.source != Source.MEMORY)
        value = step(Mux(from_outside, self.value, read.data), "operand_value")
        m.d.comb += [
            operand.eq(Array([value, ~value, value & acc, Const(0, 8)])[kind]),
            carried.eq(Mux(instruction[9], carry, kind == 1)),
            total.eq(Cat(Const(1, 1), operand) + Cat(carried, acc)),
            Cat(self.result, carry_out).eq(
                step(Cat(Mux(adds, total[1:9], operand), total[9]), "result_and_carry")
            ),
        ]
        with m.If(execute):
            m.d.sync += zero.eq(self.result == 0)
            with m.If(adds & (kind != 3)):
                m.d.sync += carry.eq(carry_out)
            with m.If(instruction[13]):
                m.d.sync += acc.eq(self.result)
        with m.If(self.destination == Destination.PAGE):
            m.d.sync += page.eq(self.result)
        return m
