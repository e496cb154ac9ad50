"""A small processor with two threads, which runs the link's firmware."""

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .instructions import MEMORY_BYTES, Condition, Destination, Source

__all__ = ["Controller"]

_OUTSIDE = Condition.EVENT - Condition.RECEIVED + 1


class Controller(wiring.Component):
    """Executes one instruction (`instructions`) every two cycles.

    In the first cycle a jump is decided and memory is read; in the second the result is computed
    and written, and the next instruction is read. The threads share everything but the place where
    they are; each runs until it gives way to the other.

    Parameters
    ----------
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

    def __init__(self, code: Sequence[int], contents: bytes, first: int, second: int):
        self.code, self.contents, self.first, self.second = code, contents, first, second
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
        # After a reset the first thing is to read an instruction.
        begun, second = Signal(), Signal(init=1)
        execute = Signal()
        m.d.sync += [begun.eq(1), second.eq(~second)]
        instruction = fetch.data
        jumps = instruction[15]
        m.d.comb += execute.eq(second & begun & ~jumps)

        # Where the threads are.
        place, other = Signal(10, init=self.first), Signal(10, init=self.second)
        following = Signal(10)
        zero, carry = Signal(), Signal()
        condition = instruction[10:14]
        holds = Array([Const(1), zero, carry, *self.conditions, 0, 0])[condition]
        goes = jumps & (holds ^ instruction[14])
        switches = jumps & (condition == Condition.SWITCH)
        m.d.comb += [
            following.eq(Mux(goes, instruction[:10], place + 1)),
            fetch.addr.eq(place),
            fetch.en.eq(second),
        ]
        with m.If(~second):
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
        value, operand, carried, total = Signal(8), Signal(8), Signal(), Signal(10)
        adds, kind = instruction[12], instruction[10:12]
        m.d.comb += [
            value.eq(Mux(outside & (self.source != Source.MEMORY), self.value, read.data)),
            operand.eq(Array([value, ~value, value & acc, Const(0, 8)])[kind]),
            carried.eq(Mux(instruction[9], carry, kind == 1)),
            total.eq(Cat(Const(1, 1), operand) + Cat(carried, acc)),
            self.result.eq(Mux(adds, total[1:9], operand)),
        ]
        with m.If(execute):
            m.d.sync += zero.eq(self.result == 0)
            with m.If(adds & (kind != 3)):
                m.d.sync += carry.eq(total[9])
            with m.If(instruction[13]):
                m.d.sync += acc.eq(self.result)
        with m.If(self.destination == Destination.PAGE):
            m.d.sync += page.eq(self.result)
        return m
