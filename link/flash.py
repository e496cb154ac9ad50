"""Programs and images from an SPI flash (docs/link.md, "The board's own memory").

The engine takes a program's beginning, then the image, then the rest of the program, so one byte at
a time is read, and only these two turns are made: no buffer. Every turn begins with the header.

Numbers are kept in shift registers and worked on bit by bit. A byte takes 24 cycles: 16 in which
its bits come, most significant first, and 8 in which they go round, least significant first,
through the CRC and the adders; in these 24 cycles the number of bytes that remain goes round too
and is counted down.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .checksum import Checksum
from .memory_contents import HEADER_BYTES, MAGIC
from .stream_buffer import BYTE_STREAM

__all__ = ["FlashReader"]

_ADDRESS_BITS = 24
_MAGIC = int.from_bytes(MAGIC, "little")
_WAKE_UP, _READ = 0xAB, 0x03
_BYTE_CYCLES, _BIT_CYCLES = 24, 16
# Numbers of bytes since the chip was selected: the address ends, the header ends, the CRC ends.
_HEADER, _DATA = 4, 4 + HEADER_BYTES
_TRAILER_END = _DATA + 5
_WAKE_UP_SECONDS = 50e-6


class FlashReader(wiring.Component):
    """Feeds programs, and images in turn, to the engine.

    An image's last byte waits until its CRC has been found right. Nothing moves any more after
    what is in the memory has been found wrong.

    Parameters
    ----------
    base : int
        Address of the header, a multiple of 4,096 below 2**24.
    clock_hz : int
        SCK is half of it.

    Members
    -------
    cs, sck, mosi, miso : pins; ``cs`` is active low
    program_own, image_own : what is wanted
    image_wanted : the engine takes an image
    program, image : bytes
    error : there is no program, or no image
    """

    def __init__(self, base: int, clock_hz: int):
        self.base = base
        self.wait = min((1 << _ADDRESS_BITS) - 1, max(1, int(clock_hz * _WAKE_UP_SECONDS)))
        super().__init__(
            {
                "cs": Out(1, init=1),
                "sck": Out(1),
                "mosi": Out(1),
                "miso": In(1),
                "program_own": In(1),
                "image_own": In(1),
                "image_wanted": In(1),
                "program": Out(BYTE_STREAM),
                "image": Out(BYTE_STREAM),
                "error": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.checksum = checksum = Checksum()
        error, checked, verified = self.error, Signal(), Signal()
        # Turns: header alone, program, image. For an image, the header comes first, and then the
        # chip is selected again at the image's own address.
        checking, imaging, seeking = Signal(), Signal(), Signal()
        program_done, image_done = Signal(), Signal()

        # A byte: 16 cycles of bits, 8 cycles in which it goes round.
        cycle, hold = Signal(range(_BYTE_CYCLES)), Signal()
        byte = Signal(8)
        bits, round_, byte_end = Signal(), Signal(), Signal()
        m.d.comb += [
            bits.eq(cycle < _BIT_CYCLES),
            round_.eq(~bits & ~hold),
            byte_end.eq((cycle == _BYTE_CYCLES - 1) & ~hold),
        ]
        with m.If(~hold):
            m.d.sync += cycle.eq(Mux(byte_end, 0, cycle + 1))
        with m.If(bits & cycle[0]):
            m.d.sync += byte.eq(Cat(self.miso, byte))
        with m.If(round_):
            m.d.sync += byte.eq(Cat(byte[1:], byte[0]))
        bit, whole = byte[0], Cat(byte[1:], byte[0])

        # Where in a turn it is.
        number = Signal(range(_TRAILER_END + 1))
        field, part = number[2:], number[:2]
        place = Cat(cycle[:3], part)  # Of a bit in its field, the lowest 0.
        data, trailer = Signal(), Signal()
        m.d.comb += [data.eq(number == _DATA), trailer.eq(number > _DATA)]
        is_size, is_image_size, is_count = (field == n + 1 for n in (2, 3, 4))

        # Bytes that remain.
        remaining = Signal(_ADDRESS_BITS, init=-(-self.wait // _BYTE_CYCLES))
        borrow, some = Signal(init=1), Signal()
        counts = Signal()
        counted = remaining[0] ^ borrow
        final = Signal()
        m.d.comb += final.eq(~some & ~counted)
        with m.If(counts & ~hold):
            m.d.sync += [
                remaining.eq(Cat(remaining[1:], counted)),
                borrow.eq(byte_end | (borrow & ~remaining[0])),
                some.eq(~byte_end & (some | counted)),
            ]
        loads = Signal()
        m.d.comb += loads.eq(Mux(imaging, is_image_size, is_size) & round_)
        with m.If(loads & (part != 3)):
            m.d.sync += [remaining.eq(Cat(remaining[1:], bit)), some.eq(some | bit)]

        # Where the next image begins.
        address, carry = Signal(_ADDRESS_BITS), Signal()
        first, count, count_carry, differs = Signal(init=1), Signal(16), Signal(), Signal()
        begin = Const((self.base + HEADER_BYTES) % (1 << _ADDRESS_BITS), 32)
        addend = Mux(first, begin.bit_select(place, 1), address[0])
        summand = Mux(is_count, place == 2, bit)
        adds = Signal()
        m.d.comb += adds.eq(
            imaging & round_ & (part != 3) & Mux(first, is_size, is_image_size | is_count)
        )
        with m.If(adds):
            m.d.sync += [
                address.eq(Cat(address[1:], addend ^ summand ^ carry)),
                carry.eq(Mux(carry, addend | summand, addend & summand)),
            ]
        with m.If(bits & (part == 0)):
            m.d.sync += carry.eq(0)
        # Which image it is; the last one is followed by the first.
        following = count[0] ^ count_carry
        with m.If(is_count & bits & (part == 0)):
            m.d.sync += [count_carry.eq(1), differs.eq(0)]
        with m.If(imaging & is_count & round_ & ~part[1]):
            m.d.sync += [
                count.eq(Cat(count[1:], following)),
                count_carry.eq(count_carry & count[0]),
                differs.eq(differs | (following != bit)),
            ]

        # Program bytes that went before the image: left out after it.
        sent = Signal(10)
        full = sent.all()
        # While the engine takes an image's last byte, it still wants the image, not the next one.
        wanted = self.image_wanted & ~self.image.valid & (sent.any() | ~self.program_own)

        # Pins.
        selected, command = Signal(), Signal()
        opcode = Signal(8, init=_WAKE_UP)
        base = Const(self.base, _ADDRESS_BITS)
        high_first = Signal(5)
        m.d.comb += [
            high_first.eq(~Cat(cycle[1:4], part)),
            self.cs.eq(~selected),
            self.sck.eq(selected & bits & cycle[0]),
            command.eq(field == 0),
        ]
        with m.If(part == 0):
            m.d.comb += self.mosi.eq(opcode.bit_select(~cycle[1:4], 1))
        with m.Elif(seeking):
            m.d.comb += self.mosi.eq(address[-1])
            with m.If(selected & command & bits & cycle[0]):
                m.d.sync += address.eq(Cat(address[-1], address))
        with m.Else():
            m.d.comb += self.mosi.eq(base.bit_select(high_first, 1))

        # CRC: of the header, kept until its own bytes come by in the next turn; of images.
        m.d.comb += [
            checksum.bit.eq(bit),
            checksum.start.eq((cycle == 0) & (field == Mux(checking, 2, 8))),
            checksum.shift.eq(round_ & ((checking & (field >= 3)) | data | trailer)),
        ]
        with m.If(~checking & ~verified & (field == 2)):
            m.d.comb += [checksum.empty.eq(1), checksum.shift.eq(round_)]

        def fail():
            m.d.sync += error.eq(1)
            m.next = "STOPPED"

        with m.If(self.program.ready):
            m.d.sync += self.program.valid.eq(0)
        with m.If(self.image.ready & self.image.valid):
            m.d.sync += self.image.valid.eq(0)

        with m.FSM():
            with m.State("WAKE"):
                m.d.comb += hold.eq(~self.program_own & ~self.image_own)
                m.d.comb += selected.eq(~hold)
                with m.If(byte_end):
                    m.next = "WAIT"
            with m.State("WAIT"):
                m.d.comb += counts.eq(1)
                with m.If(byte_end & final):
                    m.next = "CHOOSE"
            with m.State("CHOOSE"):
                m.d.sync += [opcode.eq(_READ), number.eq(0), some.eq(0), borrow.eq(1)]
                with m.If(program_done & (image_done | ~self.image_own)):
                    m.d.sync += [program_done.eq(0), image_done.eq(0), sent.eq(0)]
                with m.Elif(image_done & ~self.program_own):
                    m.d.sync += image_done.eq(0)
                with m.Elif(byte_end):
                    m.d.sync += [checking.eq(~checked), imaging.eq(0), seeking.eq(0)]
                    with m.If(~checked):
                        m.next = "READ"
                    with m.Elif(self.image_own & ~image_done & wanted):
                        m.d.sync += imaging.eq(1)
                        m.next = "READ"
                    with m.Elif(self.program_own & ~program_done & (~full | image_done)):
                        m.next = "READ"
            with m.State("READ"):
                m.d.comb += [selected.eq(1), counts.eq(data & (~imaging | seeking))]
                with m.If(byte_end):
                    m.d.sync += number.eq(number + 1)
                    with m.If(seeking & (number == _HEADER - 1)):
                        m.d.sync += number.eq(_DATA)
                with m.If(round_):
                    with m.If((field == 1) & (bit != Const(_MAGIC, 32).bit_select(place, 1))):
                        fail()
                    with m.If(checksum.empty & (bit != checksum.value[0])):
                        fail()
                    # Sizes and addresses have 24 bits.
                    with m.If((is_size | is_image_size) & (part == 3) & bit):
                        fail()
                    with m.If(is_count & part[1] & bit):
                        fail()
                with m.If(checking), m.If(data):
                    m.d.sync += checked.eq(1)
                    m.next = "CHOOSE"
                with m.Elif(field == 8):
                    # Nothing remains to be read, or there is no image.
                    done = byte_end & (part == 3)
                    with m.If(done):
                        m.d.sync += [verified.eq(1), some.eq(0)]
                    with m.If(done & ~some):
                        fail()
                with m.Elif(data & ~imaging):
                    self._program_byte(
                        m,
                        number,
                        cycle,
                        hold,
                        byte_end,
                        whole,
                        final,
                        sent,
                        program_done,
                        image_done,
                    )
                with m.Elif(data & ~seeking):
                    m.next = "SEEK"
                with m.Elif(data):
                    m.d.comb += hold.eq((cycle == _BYTE_CYCLES - 1) & self.image.valid)
                    with m.If(byte_end):
                        m.d.sync += [
                            self.image.payload.data.eq(whole),
                            self.image.payload.last.eq(final),
                            self.image.valid.eq(~final),
                            number.eq(Mux(final, _DATA + 1, _DATA)),
                        ]
                with m.Elif(number == _TRAILER_END):
                    m.d.sync += [self.image.valid.eq(1), image_done.eq(1), first.eq(~differs)]
                    with m.If(~differs):
                        m.d.sync += count.eq(0)
                    m.next = "CHOOSE"
                    with m.If(~checksum.right):
                        m.d.sync += self.image.valid.eq(0)
                        fail()
            with m.State("SEEK"):
                m.d.sync += [number.eq(0), seeking.eq(1)]
                with m.If(byte_end):
                    m.next = "READ"
            with m.State("STOPPED"):
                m.d.comb += hold.eq(1)
        return m

    def _program_byte(
        self, m, number, cycle, hold, byte_end, whole, final, sent, program_done, image_done
    ):
        """Give a byte to the engine, leave it out, or turn to the image."""
        before_image = self.image_own & ~image_done
        turn = before_image & (self.image_wanted | sent.all())
        skips = image_done & (sent != 0)
        m.d.comb += hold.eq((cycle == _BYTE_CYCLES - 1) & self.program.valid & ~turn & ~skips)
        with m.If(byte_end):
            m.d.sync += number.eq(_DATA)
            with m.If(skips):
                m.d.sync += sent.eq(sent - 1)
            with m.Elif(~self.program.valid & ~(before_image & sent.all())):
                m.d.sync += [
                    self.program.valid.eq(1),
                    self.program.payload.data.eq(whole),
                    self.program.payload.last.eq(final),
                    program_done.eq(final),
                ]
                with m.If(before_image):
                    m.d.sync += sent.eq(sent + 1)
                with m.If(final):
                    m.next = "CHOOSE"
            with m.If(turn):
                m.next = "CHOOSE"
