"""Bytes to and from an SPI flash, and streams out of it without the controller.

::

    i, take ───►┌────────────────┐◄──► cs, sck, dq (pins)
    o, ready ◄──│ shift register │
                └──┬──────────┬──┘
          checksum ◄          └─► stream (program or image)
                                     counted by `remaining`
"""

import enum

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .checksum import Checksum
from .words import BYTE_STREAM

__all__ = [
    "DUMMY_BYTES",
    "LINES",
    "PINS",
    "READ_COMMANDS",
    "REMAINING_BYTES",
    "FlashControl",
    "FlashReader",
    "bit_cycles",
    "byte_cycles",
    "connect_pins",
]

LINES = (1, 2, 4)
"""On how many lines a flash may give its data."""
READ_COMMANDS = {1: 0x0B, 2: 0x3B, 4: 0x6B}
"""Fast reads by lines: command, three bytes of an address, `DUMMY_BYTES`; these on one line."""
PINS = {
    "cs": Out(1, init=1),
    "sck": Out(1),
    "dq_o": Out(4, init=0b1100),
    "dq_oe": Out(4, init=0b1101),
    "dq_i": In(4),
}
"""Pins of a flash. ``cs`` is active low. Lines are those of the data sheets: 0 is the input and 1
the output of commands, 2 is also WP# and 3 also HOLD#, both high while they are not read."""
DUMMY_BYTES = 1
REMAINING_BYTES = 3
"""Bytes of `FlashReader`'s ``remaining``."""

_FASTEST_HZ = 40_000_000
_CONTROL_BITS = 6
_CHECKED_BITS = 4


class FlashControl(enum.IntFlag):
    """What a control word asks for."""

    SELECT = 1
    """The flash is selected. Without it, the lines stay as they are."""
    RELEASE = 2
    """No line is driven."""
    WIDE = 4
    """Bytes come on all lines."""
    PROGRAM = 8
    """Bytes go to the program's stream; the last of them with ``last``."""
    IMAGE = 16
    """Bytes go to the image's stream, none with ``last``."""
    CHECKSUM = 32
    """The checksum begins anew."""


def bit_cycles(clock_hz: int) -> int:
    """Cycles of the flash's clock, a power of two: at most 40 MHz.

    Flashes are much faster (104 MHz); data have to come back within a period.
    """
    return 1 << max(1, ceil_log2(-(-clock_hz // _FASTEST_HZ)))


def byte_cycles(clock_hz: int, lines: int) -> int:
    """Cycles of a byte of a stream that is taken at once, and of a byte on so many lines."""
    return 8 // lines * bit_cycles(clock_hz)


def connect_pins(m: Module, inner: wiring.PureInterface, outer: wiring.PureInterface) -> None:
    """Connect the members of `PINS` of a block to those of the one around it."""
    for name, member in PINS.items():
        inside, outside = getattr(inner, name), getattr(outer, name)
        m.d.comb += outside.eq(inside) if member.flow is Out else inside.eq(outside)


class FlashReader(wiring.Component):
    """Exchanges bytes with a flash in mode 0, and reads streams of counted bytes out of it.

    A byte that is sent, or read on one line, takes ``8 * cycles`` cycles, one that is read on all
    lines ``8 / lines * cycles`` (`byte_cycles`). Bytes of a stream follow each other without a
    pause as long as they are taken; the flash's clock stands still while one is not. The first one
    is there as many cycles after the control word. After the last one the next byte is read as by
    `take`, and `ready` follows.

    Parameters
    ----------
    cycles : int
        Of a bit, a power of two from 2.
    lines : int
        On which data come where the control word says so: 1, 2 or 4.

    Members
    -------
    cs, sck, dq_o, dq_oe, dq_i : see `PINS`
    control, set : a `FlashControl` (for one cycle); what is on its way ends at once
    stop : what is on its way ends at once; the flash stays selected
    i, load : a byte goes out (for one cycle)
    take : a byte comes in (for one cycle)
    ready : the byte is complete, and no stream goes on
    o : the byte
    stream : bytes of a stream
    to_image : they are those of an image
    moved : one of them has been taken since the control word
    remaining : lowest byte of their number, as a negative number
    next_remaining, rotate : that number goes down by a byte, and this one comes in at the top (for
        one cycle)
    right : the last 32 bits were the CRC of all before them; it is right when `ready` is
    """

    def __init__(self, cycles: int, lines: int):
        self.cycles, self.lines = cycles, lines
        super().__init__(
            {
                **PINS,
                "control": In(_CONTROL_BITS),
                "set": In(1),
                "stop": In(1),
                "i": In(8),
                "load": In(1),
                "take": In(1),
                "ready": Out(1),
                "o": Out(8),
                "stream": Out(BYTE_STREAM),
                "to_image": Out(1),
                "moved": Out(1),
                "remaining": Out(8),
                "next_remaining": In(8),
                "rotate": In(1),
                "right": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.checksum = checksum = Checksum(_CHECKED_BITS)
        lines = self.lines

        def asks(flag: FlashControl):
            return self.control[flag.bit_length() - 1]

        # What the control word has asked for.
        select, release, wide, streams = Signal(), Signal(), Signal(), Signal()
        begins_stream = asks(FlashControl.PROGRAM) | asks(FlashControl.IMAGE)
        with m.If(self.set):
            m.d.sync += [
                select.eq(asks(FlashControl.SELECT)),
                wide.eq(asks(FlashControl.WIDE)),
                self.to_image.eq(asks(FlashControl.IMAGE)),
            ]

            with m.If(asks(FlashControl.SELECT)):
                m.d.sync += release.eq(asks(FlashControl.RELEASE))
        # Where a byte is given up, the clock falls first.
        m.d.sync += self.cs.eq(~select)

        # The bit of a byte, and the cycle of the bit. A byte on all lines begins with a late bit.
        busy, bit, of_bit = Signal(), Signal(3), Signal(range(self.cycles))
        full, moves, ends = Signal(), Signal(), Signal()
        shift = Signal()
        m.d.comb += [
            self.ready.eq(~busy),
            self.sck.eq(busy & of_bit[-1]),
            shift.eq(busy & of_bit.all()),
            ends.eq(shift & bit.all()),
            moves.eq(full & self.stream.ready),
        ]
        late = Const(8 - 8 // lines, 3)
        # A byte waits in the first cycle of the next one, which changes nothing yet.
        with m.If(busy & (~full | moves)):
            m.d.sync += of_bit.eq(of_bit + 1)
        with m.If(shift):
            m.d.sync += bit.eq(Mux(ends & wide, late, bit + 1))
        with m.If(ends):
            m.d.sync += [busy.eq(streams), full.eq(streams)]
        with m.If(self.load | self.take):
            m.d.sync += [busy.eq(1), bit.eq(Mux(wide, late, 0))]
        with m.If(moves):
            m.d.sync += [full.eq(0), self.moved.eq(1)]

        # The bytes of a stream that are still to come.
        remaining = Signal(8 * REMAINING_BYTES)
        counted = remaining + 1
        last = counted[-1]
        with m.If(self.rotate):
            m.d.sync += remaining.eq(Cat(remaining[8:], self.next_remaining))
        with m.Elif(moves):
            m.d.sync += remaining.eq(counted)
            with m.If(last):
                m.d.sync += streams.eq(0)
        with m.If(self.set):
            m.d.sync += [
                streams.eq(begins_stream),
                busy.eq(begins_stream),
                bit.eq(Mux(asks(FlashControl.WIDE), late, 0)),
                self.moved.eq(0),
            ]
        with m.If(self.set | self.stop):
            m.d.sync += [of_bit.eq(0), full.eq(0)]
        with m.If(self.stop):
            m.d.sync += [streams.eq(0), busy.eq(0)]

        shifted = Cat(self.dq_i[1], self.o)[:8]
        if lines > 1:
            shifted = Mux(wide, Cat(self.dq_i[:lines], self.o)[:8], shifted)
        with m.If(self.load):
            m.d.sync += self.o.eq(self.i)
        with m.Elif(shift):
            m.d.sync += self.o.eq(shifted)
        m.d.comb += [
            self.stream.valid.eq(full),
            self.stream.payload.data.eq(self.o),
            self.stream.payload.last.eq(last & ~self.to_image),
            self.remaining.eq(remaining),
            self.dq_o.eq(Cat(self.o[-1], Const(0b110, 3))),
            self.dq_oe.eq(Mux(release, 0, 0b1101)),
        ]

        # The checksum takes the bits in the order in which they come, several at once.
        narrow = bit[:2].all()
        wide_now = {1: narrow, 2: bit[0], 4: Const(1)}[lines]
        m.d.comb += [
            checksum.start.eq(self.set & asks(FlashControl.CHECKSUM)),
            checksum.shift.eq(shift & Mux(wide, wide_now, narrow)),
            checksum.bit.eq(shifted[:_CHECKED_BITS][::-1]),
            self.right.eq(checksum.right),
        ]
        return m
