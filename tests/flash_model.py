"""An SPI flash in Python, which says what its user does wrong; written apart from the hardware."""

__all__ = ["FlashModel"]

GIVES = {0x0B: 1, 0x3B: 2, 0x6B: 4}
"""Lines on which a fast read gives its data."""
DUMMY_CLOCKS = 8
_IGNORED = 1000
# Makers: how the register with QE is read, its bit, what enables writing, what writes it.
VOLATILE = (0x35, 0x02, 0x50, 0x31)
LASTING = (0x05, 0x40, 0x06, 0x01)
QUAD_ENABLE = {0xEF: VOLATILE, 0xC8: VOLATILE, 0x9D: LASTING, 0xC2: LASTING}


class FlashModel:
    """An SPI flash in mode 0, asleep until 0xAB.

    Parameters
    ----------
    contents : bytes
        Beyond their end everything is 0xFF.
    maker : int
        First byte of the JEDEC ID.
    lines : int
        On which it can give data; commands for more are not known to it.
    enabled : bool
        Whether QE is set from the beginning. Makers without QE need none.
    write_cycles : int
        Cycles of writing a register that keeps its value.
    """

    def __init__(self, contents, maker=0xEF, lines=4, enabled=False, write_cycles=3000):
        self.contents, self.lines = bytearray(contents), lines
        self.maker, self.way = maker, QUAD_ENABLE.get(maker)
        self.register = self.way[1] if enabled and self.way else 0
        self.write_cycles = write_cycles
        self.awake = False
        self.reads = []
        """Fast reads so far: command and address."""
        self.writes = []
        """Commands that changed a register."""
        self.ignored = []
        """Commands that came while a register was being written."""
        self._cycle, self._free_at, self._enabled = 0, 0, None

    @property
    def quad(self):
        return self.lines == 4 and (self.way is None or bool(self.register & self.way[1]))

    def _begin(self):
        self._bits, self._in, self._out, self._gives = 0, 0, None, 0

    def _rise(self, line):
        """The chip takes a bit of a command."""
        self._in = self._in << 1 | line
        self._bits += 1
        if self._bits == 8:
            self._command = self._in
            known = {0xAB, 0x9F, 0x05, *GIVES, *(self.way or ())}
            assert self._command in known, f"unknown command {self._command:#x}"
            assert self.awake or self._command == 0xAB, "the flash is asleep"
            busy = self._cycle < self._free_at
            if busy and self._command != 0x05:
                self.ignored.append(self._command)
                self._bits = _IGNORED
            elif self._command == 0x9F:
                self._out, self._gives = [self.maker, 0x40, 0x18], 1
            elif self._command == 0x05:
                own = self.register if self.way == LASTING else 0
                self._out, self._gives = [own | busy], 1
            elif self._command == 0x35:
                self._out, self._gives = [self.register], 1
        elif self._bits == 32 and self._command in GIVES:
            self.reads.append((self._command, self._in & 0xFFFFFF))
        elif self._bits == 32 + DUMMY_CLOCKS and self._command in GIVES:
            gives = GIVES[self._command]
            if gives <= self.lines and (gives < 4 or self.quad):
                self._place, self._gives = self.reads[-1][1], gives
                self._out = []

    def _fall(self):
        """The chip gives what comes next on its lines: (lines that it drives, values)."""
        if not self._gives:
            return 0, 0
        if not self._pending:
            if self._command in GIVES:
                inside = self._place < len(self.contents)
                byte = self.contents[self._place] if inside else 0xFF
                self._place += 1
            else:
                byte = self._out.pop(0) if self._out else 0xFF
            self._pending = [byte >> 8 - n & (1 << self._gives) - 1
                             for n in range(self._gives, 9, self._gives)]  # fmt: skip
        value = self._pending.pop(0)
        return {1: (2, value << 1), 2: (3, value), 4: (15, value)}[self._gives]

    def _end(self):
        """What a command does when the chip is not selected any more."""
        if self._bits == 8 and self._command == 0xAB:
            self.awake = True
        elif self.way and self._bits >= 8 and self._command == self.way[2]:
            assert self._bits == 8
            self._enabled = self._command
        elif self.way and self._bits >= 8 and self._command == self.way[3]:
            assert self._bits == 16, "a register is written with one byte"
            assert self._enabled == self.way[2], "writing is not enabled"
            self.register, self._enabled = self._in & 0xFF, None
            self.writes.append(self._command)
            if self.way == LASTING:
                self._free_at = self._cycle + self.write_cycles

    async def follow(self, ctx, dut):
        """Test bench to run in the background."""
        before = [1, 0, 0, 0]
        drives = value = 0
        high_since = -100
        self._begin()
        self._pending = []
        while True:
            now = [ctx.get(getattr(dut, name)) for name in ("cs", "sck", "dq_o", "dq_oe")]
            cs, sck, out, oe = now
            assert not drives & oe, "two drive a line"
            assert not oe & 2, "the board drives what the chip gives"
            if not self.quad and not cs and (self._bits < 32 or self._command not in GIVES):
                assert oe & 12 == out & 12 == 12, "WP# and HOLD# must be high"
            if before[0] and not cs:
                assert self._cycle - high_since >= 2, "not selected for too short a time"
                assert not sck, "the clock must be low in mode 0"
                self._begin()
                self._pending = []
            elif cs and not before[0]:
                assert not sck and not before[1], "the clock must be low in mode 0"
                self._end()
                drives, high_since = 0, self._cycle
            elif not cs and sck and not before[1]:
                assert not before[0], "the chip must be selected before the clock"
                if not self._gives:
                    # All but dummy clocks.
                    if self._bits < 32:
                        assert oe & 1 and before[3] & 1, "a command's bit must be driven"
                        assert before[2] & 1 == out & 1, "a command's bit must be there before"
                    self._rise(out & 1)
            elif not cs and before[1] and not sck:
                drives, value = self._fall()
            # What nobody drives is pulled up.
            ctx.set(dut.dq_i, value & drives | out & oe | 15 & ~(drives | oe))
            before = now
            await ctx.tick()
            self._cycle += 1
