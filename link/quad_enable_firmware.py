"""Firmware of the link's second thread that makes a flash give data on four lines.

Two of the lines are WP# and HOLD# until a bit of a status register, QE, makes them data lines.
Where it is and how it is set depends on the maker, which is the first byte of the JEDEC ID (command
9Fh):

====================  ====  ====  ====  =====  ==============================
maker                 ID    read  bit   write  what enables the writing
====================  ====  ====  ====  =====  ==============================
Winbond, GigaDevice   EF,C8 35h   1     31h    50h: holds until power-off
ISSI, Macronix        9D,C2 05h   6     01h    06h: holds for ever
====================  ====  ====  ====  =====  ==============================

The bit is written only if it is not set. Other makers' flashes are left as they are: those of
Micron need nothing, and a flash that does not give data on four lines is read on one.
"""

from collections.abc import Sequence

from .flash_port_firmware import FlashPort
from .instructions import Assembler, Condition
from .wide_number import WideNumber

__all__ = ["QuadEnableFirmware"]

_READ_ID = 0x9F
_READ_STATUS = 0x05
_WRITES = 0x01
"""Bit of the status: something is being written."""
_VOLATILE = (0xEF, 0xC8), (0x35, 0x02, 0x50, 0x31)
_LASTING = (0x9D, 0xC2), (_READ_STATUS, 0x40, 0x06, 0x01)
"""Makers; how the register is read, the bit, what enables writing, and what writes."""
_ROUND_CYCLES = 80
"""Cycles of asking whether the bit has been written, at least."""
_WRITE_SECONDS = 0.1
"""Data sheets say 15 to 40 ms."""


class QuadEnableFirmware:
    """Adds the instructions that set QE.

    Parameters
    ----------
    assembler : Assembler
    port : FlashPort
    places : sequence of int
        Five bytes of the direct page that may be changed.
    rounds : WideNumber
        Three of them.
    clock_hz : int
    """

    def __init__(
        self,
        assembler: Assembler,
        port: FlashPort,
        places: Sequence[int],
        rounds: WideNumber,
        clock_hz: int,
    ):
        a = assembler
        value, *how = places
        read, bit, enable, write = how
        port.command(a.constant(_READ_ID))
        port.read(value)
        for makers, ways in (_VOLATILE, _LASTING):
            for at, way in zip(how, ways, strict=True):
                a.set(at, way)
            for maker in makers:
                a.load(value)
                a.subtract(a.constant(maker))
                a.jump_if(Condition.ZERO, "quad known")
        a.jump("quad done")
        a.label("quad known")
        port.command(read)
        port.read(value)
        a.load(value)
        a.mask(bit)
        a.jump_unless(Condition.ZERO, "quad done")
        port.command(enable)
        port.control(0)
        port.command(write)
        a.load(bit)
        a.add_to(value)
        port.send(value)
        port.control(0)
        # Whole multiples of 256: the direct page is full of constants.
        rounds.set(-(int(clock_hz * _WRITE_SECONDS) // _ROUND_CYCLES // 256 + 1) * 256)
        a.label("quad writes")
        port.command(a.constant(_READ_STATUS))
        port.read(value)
        a.load(value)
        a.mask(a.constant(_WRITES))
        a.jump_if(Condition.ZERO, "quad done")
        rounds.count_up("quad writes")
        a.label("quad done")
