"""When the last step of the next pixel tile may be issued.

::

    last step of tile n ─► tile_period ─► of tile n + 1 ─► tile_period ─► of tile n + 2
          └────────── capture_latency ──────────► sums of n ─► beats of n

Outputs that go to the activation memory never wait, so that sums that are issued a tile's beats
apart are captured a tile's beats apart: several pixel tiles are on their way, and each is captured
when the one before has gone. Outputs of the result stream may wait for ever: the next last step is
issued when all of them have gone.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..array.timing import array_latency
from ..configuration import Configuration
from .residual_queue import queues_residuals
from .timing import output_beats

__all__ = ["TileSlots"]


class TileSlots(wiring.Component):
    """Spaces the last steps of pixel tiles. Latency from ``issued`` to ``free``: 1 cycle.

    Members
    -------
    issued : the last step of a pixel tile is issued in this cycle
    beats : beats of a pixel tile's outputs, the same all through a layer
    residual, to_result : of the layer: it has a residual; its outputs go to the result stream
    captured : a pixel tile's sums are captured in this cycle
    drained : no outputs are left, from the next cycle on
    free : the next last step may be issued
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "issued": In(1),
                "beats": In(range(output_beats(c, conv=True) + 1)),
                "residual": In(1),
                "to_result": In(1),
                "captured": In(1),
                "drained": In(1),
                "free": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c = self.c
        period = self.beats
        if not queues_residuals(c):
            # The next residual comes when the one before has gone, and its sums come later still.
            period = self.beats + Mux(self.residual, array_latency(c), 0)
        left = Signal(period.shape())
        with m.If(self.issued):
            m.d.sync += left.eq(period - 1)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)

        on_way, still_on_way = Signal(), Signal()
        m.d.comb += still_on_way.eq(self.issued | (on_way & ~self.captured))
        m.d.sync += [
            on_way.eq(still_on_way),
            self.free.eq(
                Mux(
                    self.to_result,
                    ~still_on_way & ~self.captured & self.drained,
                    ~self.issued & ~left[1:].any(),
                )
            ),
        ]
        return m
