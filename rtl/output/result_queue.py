"""Where results wait for the one who takes them, so that nothing before has to.

An output takes a dozen cycles from the sum buffer to here, through registers all over the part. To
stop all of them where the result stream stalls would take a signal from here to each; instead an
output begins its way only when there is room for it here.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ..configuration import Configuration
from ..primitives.memory import MemoryShape

__all__ = ["DEPTH", "LATENCY", "ResultQueue", "result_memory"]

DEPTH = 16
"""Words of an ECP5's distributed RAM. Enough for a word in each cycle while no more than 13 cycles
are between the beginning of its way and its arrival."""


LATENCY = 2
"""Cycles from a word's arrival until the stream offers it."""


def result_memory(c: Configuration) -> MemoryShape:
    """The queue's memory: beats and their ``last``."""
    return MemoryShape("result queue", 1, DEPTH, 32 * c.post_lanes + 1, 2, distributed=True)


class ResultQueue(wiring.Component):
    """A queue whose words are announced. Latency: `LATENCY`.

    Parameters
    ----------
    shape : shape
        Of the payload.

    Members
    -------
    room : another word may begin its way in this cycle
    begins : it does, only with ``room``
    arrives : one arrives; without ``i.valid`` it is dropped
    i : words that are kept, only with ``arrives``
    o : the stream of words; ``valid`` and payload come from registers
    empty : nothing is on its way or here
    """

    def __init__(self, shape):
        self.shape = shape
        super().__init__(
            {
                "room": Out(1, init=1),
                "begins": In(1),
                "arrives": In(1),
                "i": In(stream.Signature(shape, always_ready=True)),
                "o": Out(stream.Signature(shape)),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = memory.Memory(
            shape=self.shape, depth=DEPTH, init=[], attrs={"no_rw_check": 1}
        )
        write, read = words.write_port(), words.read_port(domain="comb")
        written, taken = Signal(range(2 * DEPTH)), Signal(range(2 * DEPTH))
        take, held = Signal(), Signal(self.shape, reset_less=True)
        m.d.comb += [
            write.addr.eq(written),
            write.data.eq(self.i.payload),
            write.en.eq(self.i.valid),
            read.addr.eq(taken),
            self.o.payload.eq(held),
            take.eq((written != taken) & (self.o.ready | ~self.o.valid)),
        ]
        m.d.sync += [
            written.eq(written + self.i.valid),
            taken.eq(taken + take),
            self.o.valid.eq(take | (self.o.valid & ~self.o.ready)),
        ]
        with m.If(take):
            m.d.sync += held.eq(read.data)

        # Those on their way and here.
        count, following = Signal(range(DEPTH + 1)), Signal(range(DEPTH + 1))
        dropped = self.arrives & ~self.i.valid
        gone = self.o.valid & self.o.ready
        m.d.comb += following.eq(count + self.begins - dropped - gone)
        m.d.sync += [count.eq(following), self.room.eq(following != DEPTH)]
        m.d.comb += self.empty.eq(count == 0)
        return m
