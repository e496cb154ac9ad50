"""Keeps the first error, and finds the one that nobody reports: a stream that brings nothing.

::

    program reader, image ─► error ──┐
    streams ─► silent ─► watchdog ───┴─► first one ─► error, stop
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..primitives.delay import delayed
from .packets import ErrorCode
from .watchdog import Watchdog

__all__ = ["StreamState", "Supervisor"]


class StreamState(wiring.Signature):
    """What a stream that the engine takes does in this cycle.

    Members
    -------
    begun : it has begun and not ended
    ready, valid : of the stream
    """

    def __init__(self):
        super().__init__({"begun": Out(1), "ready": Out(1), "valid": Out(1)})


class Supervisor(wiring.Component):
    """Stops the engine with its first error.

    Parameters
    ----------
    timeout_cycles : int
        Cycles in which a stream that has begun is waited for and none brings anything; 0 waits for
        ever.

    Members
    -------
    program_error, image_error : `ErrorCode`, for one cycle; the program's comes first
    program, image : `StreamState`
    error : the first one
    stop : there is one, from the cycle after it on; a register of its own, as it goes everywhere
    """

    def __init__(self, timeout_cycles: int):
        self.timeout_cycles = timeout_cycles
        super().__init__(
            {
                "program_error": In(ErrorCode),
                "image_error": In(ErrorCode),
                "program": In(StreamState()),
                "image": In(StreamState()),
                "error": Out(ErrorCode),
                "stop": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        expired = Signal()
        with m.If(~self.stop):
            with m.If(self.program_error != ErrorCode.NONE):
                m.d.sync += [self.error.eq(self.program_error), self.stop.eq(1)]
            with m.Elif(self.image_error != ErrorCode.NONE):
                m.d.sync += [self.error.eq(self.image_error), self.stop.eq(1)]
            with m.Elif(expired):
                m.d.sync += [self.error.eq(ErrorCode.TIMEOUT), self.stop.eq(1)]
        if self.timeout_cycles:
            m.submodules.watchdog = watchdog = Watchdog(self.timeout_cycles)
            streams = self.program, self.image
            waits = Cat(s.begun & s.ready & ~s.valid for s in streams)
            brings = Cat(s.ready & s.valid for s in streams)
            # Each stream's own registers are where it is.
            waited, brought = delayed(m, waits, "waited"), delayed(m, brings, "brought")
            m.d.sync += watchdog.silent.eq(waited.any() & ~brought.any())
            m.d.comb += expired.eq(watchdog.expired)
        return m
