"""Runs one layer after the other: loads its descriptor, starts it, and waits until it is done."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["START_CYCLES", "Sequencer"]

START_CYCLES = 1
"""Cycles from a layer's descriptor being there to its first cycle."""


class Sequencer(wiring.Component):
    """Goes from layer to layer.

    Members
    -------
    empty : there is no layer table that is right
    load : loads the next table's descriptor, until ``loaded``
    start : begins the layer (for one cycle)
    done : the layer is done (for one cycle)
    stop : the engine has stopped with an error
    running : a program is being read or run
    quiet : all layers that were read are done
    number : of the layer that is run, modulo 256
    """

    def __init__(self):
        super().__init__(
            {
                "empty": In(1),
                "load": Out(1),
                "loaded": In(1),
                "start": Out(1),
                "done": In(1),
                "stop": In(1),
                "running": In(1),
                "quiet": Out(1),
                "number": Out(8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        with m.FSM():
            with m.State("LOAD"):
                m.d.comb += [
                    self.load.eq(~self.empty & ~self.stop),
                    self.quiet.eq(self.empty),
                ]
                with m.If(~self.running):
                    m.d.sync += self.number.eq(0)
                with m.If(self.loaded):
                    m.next = "START"
            with m.State("START"):
                m.d.comb += self.start.eq(1)
                m.next = "RUN"
            with m.State("RUN"), m.If(self.done):
                m.d.sync += self.number.eq(self.number + 1)
                m.next = "LOAD"
        return m
