"""A queue of two between streams, so that no path goes through from end to end."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["StreamBuffer"]


class StreamBuffer(wiring.Component):
    """Passes on a payload in each cycle; ``valid``, ``ready`` and payload come from registers.

    Latency: 1 cycle.

    Parameters
    ----------
    shape : shape
        Of the payload.

    Members
    -------
    i, o : the streams
    stop : takes nothing from the next cycle on
    """

    def __init__(self, shape):
        self.shape = shape
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "stop": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # The second one is taken where the first does not leave.
        second, ready = Signal(self.shape, reset_less=True), Signal(init=1)
        occupied, stays, taken = Signal(), Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(ready),
            taken.eq(self.i.valid & ready),
            stays.eq(self.o.valid & ~self.o.ready),
        ]
        m.d.sync += [
            occupied.eq(stays & (occupied | taken)),
            ready.eq(~(stays & (occupied | taken)) & ~self.stop),
            self.o.valid.eq(stays | occupied | taken),
        ]
        with m.If(~stays):
            m.d.sync += self.o.payload.eq(Mux(occupied, second, self.i.payload))
        with m.If(ready):
            m.d.sync += second.eq(self.i.payload)
        return m
