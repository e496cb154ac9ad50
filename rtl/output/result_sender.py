"""The last layer's outputs, on their way to the result stream.

::

    outputs ─► zero without a channel ─► (with pipelining: queue) ─► result
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..configuration import Configuration
from ..interfaces import packet_stream
from ..primitives.delay import delayed
from .result_queue import ResultQueue

__all__ = ["ResultSender"]


class ResultSender(wiring.Component):
    """Sends beats of ``post_lanes`` outputs.

    Members
    -------
    begins : a beat of the layer begins its way from the sum buffer
    arrives : one is here
    sent : it goes to the stream; others are dropped
    values, beyond : its outputs, and which of the lanes have no channel
    last : it is the last one of the result
    ended : the layer's last output, of the result or not, came in the cycle before
    stop : the engine has stopped with an error
    advance : outputs are taken in this cycle, see `Outputs`
    result : the stream
    done : all outputs of the layer have been taken (for one cycle)
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "begins": In(1),
                "arrives": In(1),
                "sent": In(1),
                "values": In(32 * c.post_lanes),
                "beyond": In(c.post_lanes),
                "last": In(1),
                "ended": In(1),
                "stop": In(1),
                "advance": Out(1),
                "result": Out(packet_stream(32 * c.post_lanes)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c = self.c
        values, beyond, last = self.values, self.beyond, self.last
        if c.pipelining:
            values = delayed(m, values, "late_values", reset_less=True)
            beyond = delayed(m, beyond, "late_beyond", reset_less=True)
            last = delayed(m, last, "late_last", reset_less=True)
            m.submodules.queue = queue = ResultQueue(self.result.payload.shape())
            results, waits = queue.i, Signal()
            m.d.sync += waits.eq((self.ended | waits) & ~queue.empty)
            m.d.comb += [
                results.valid.eq(delayed(m, self.sent, "late_valid")),
                queue.arrives.eq(delayed(m, self.arrives, "late_arrives")),
                queue.begins.eq(self.begins),
                self.result.valid.eq(queue.o.valid & ~self.stop),
                self.result.payload.eq(queue.o.payload),
                queue.o.ready.eq(self.result.ready & ~self.stop),
                self.advance.eq(queue.room),
                self.done.eq((self.ended | waits) & queue.empty),
            ]
        else:
            results = self.result
            m.d.comb += [
                results.valid.eq(self.sent & ~self.stop),
                self.advance.eq(~self.stop & (~results.valid | results.ready)),
                self.done.eq(self.ended),
            ]
        lanes = range(c.post_lanes)
        m.d.comb += [
            results.payload.data.eq(
                Cat(Mux(beyond[lane], 0, values.word_select(lane, 32)) for lane in lanes)
            ),
            results.payload.last.eq(last),
        ]
        return m
