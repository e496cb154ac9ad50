"""Activations of the network's tensors, in one bank for each pixel of a tile.

::

    address ─► bank 0 ─┐
               bank 1 ─┤ aligner ─► zero outside the map ─► maximum ─► rows x cols pixels
               ...     ┘

A window of rows x cols neighbouring pixels (neighbouring within a plane, see
`hiddenite.rtl.program.LayerDescriptor`) touches each bank exactly once, wherever it lies: the banks
before the window's own bank hold its pixels one row of banks further on.

The pixels' registers also do maximum pooling: there they take only what is larger than what they
have.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .configuration import Configuration
from .delay import delayed
from .memory import shared_memory

__all__ = ["ActivationMemory"]


class ActivationMemory(wiring.Component):
    """Banks, aligner and running maximum; latency from ``address`` to ``pixels``: memory_latency.

    With one port, a write and a read in the same cycle exclude each other: the read gives nothing.

    Members
    -------
    address, bank_y, bank_x : word of the window's first pixel and the bank it is in
    row_step_y, row_step_x : address from a row of banks to the next
    rows, cols : which rows and columns of the window are inside the map
    part : the word's ``min(ich, och)`` bytes that become its first ones
    load : ``pixels`` take what is read; otherwise they stay
    first : the first ``min(ich, och)`` bytes of ``pixels`` begin a new maximum
    maximum : these bytes take what is read only where that is larger; stable while words are read
    pixels : rows * cols words, row by row; outside the map a word counts as zero
    write : writes in this cycle
    write_bank_y, write_bank_x, write_address, write_data : a word and where it goes
    write_parts : which units of ``min(ich, och)`` bytes of the word are written
    """

    def __init__(self, c: Configuration):
        self.c = c
        word = 8 * c.ich
        super().__init__(
            {
                "address": In(c.address_bits),
                "bank_y": In(ceil_log2(c.rows)),
                "bank_x": In(ceil_log2(c.cols)),
                "row_step_y": In(c.address_bits),
                "row_step_x": In(c.address_bits),
                "rows": In(c.rows),
                "cols": In(c.cols),
                "part": In(ceil_log2(c.ich // c.unit)),
                "load": In(1),
                "first": In(1),
                "maximum": In(1),
                "pixels": Out(c.banks * word),
                "write": In(1),
                "write_bank_y": In(ceil_log2(c.rows)),
                "write_bank_x": In(ceil_log2(c.cols)),
                "write_address": In(c.address_bits),
                "write_data": In(word),
                "write_parts": In(c.ich // c.unit),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c = self.c
        word = 8 * c.ich

        words = []
        for index in range(c.banks):
            row, col = divmod(index, c.cols)
            m.submodules[f"bank_{row}_{col}"] = shared = shared_memory(
                word, c.activation_words, granularity=8 * c.unit, ports=c.activation_ports
            )
            bank = shared.ports
            here, read_address = Signal(), Signal(c.address_bits, name=f"address_{index}")
            m.d.comb += [
                here.eq(self.write & (self.write_bank_y == row) & (self.write_bank_x == col)),
                bank.write.eq(Mux(here, self.write_parts, 0)),
                bank.write_address.eq(self.write_address),
                bank.write_data.eq(self.write_data),
                bank.read_address.eq(read_address),
            ]
            m.d["sync" if c.memory_latency > 3 else "comb"] += read_address.eq(
                self.address
                + (Mux(self.bank_y > row, self.row_step_y, 0) if row < c.rows - 1 else 0)
                + (Mux(self.bank_x > col, self.row_step_x, 0) if col < c.cols - 1 else 0)
            )
            words.append(bank.read_data)

        # What belongs to the words, when they are there.
        names = "bank_y", "bank_x", "rows", "cols", "part", "load", "first"
        beside = [getattr(self, name) for name in names]
        for stage in range(min(c.memory_latency - 1, 3)):
            beside = [
                delayed(m, v, f"stage_{stage}_{n}") for n, v in zip(names, beside, strict=True)
            ]
        if c.memory_latency > 2:
            words = [delayed(m, v, f"read_{i}", reset_less=True) for i, v in enumerate(words)]
        bank_y, bank_x, *beside = beside
        # Rotate along one axis, then along the other.
        turned = [
            [
                _rotate(m, [words[r * c.cols + i] for i in range(c.cols)], bank_x, col)
                for col in range(c.cols)
            ]
            for r in range(c.rows)
        ]
        pixels = [
            _rotate(m, [turned[i][col] for i in range(c.rows)], bank_y, row)
            for row in range(c.rows)
            for col in range(c.cols)
        ]
        if c.memory_latency > 4:
            pairs = zip(names[2:], beside, strict=True)
            beside = [delayed(m, value, f"aligned_{name}") for name, value in pairs]
            pixels = [delayed(m, v, f"aligned_{i}", reset_less=True) for i, v in enumerate(pixels)]
        rows, cols, part, load, first = beside
        replace = Signal()
        m.d.comb += replace.eq(load & (first | ~self.maximum))
        for row in range(c.rows):
            for col in range(c.cols):
                pixel = pixels[row * c.cols + col]
                if c.ich > c.unit:
                    parts = [pixel.word_select(i, 8 * c.unit) for i in range(c.ich // c.unit)]
                    pixel = Cat(Array(parts)[part], pixel[8 * c.unit :])
                inside = Signal(name=f"inside_{row}_{col}")
                m.d.comb += inside.eq(rows[row] & cols[col])
                for channel in range(c.ich):
                    byte = pixel.word_select(channel, 8)
                    # The complement, so that the carry of a sum says that the byte is larger.
                    kept = Signal(8, reset_less=True, name=f"kept_{row}_{col}_{channel}")
                    taken, enable = ~byte, load
                    if channel < c.unit:
                        total = Signal(9, name=f"total_{row}_{col}_{channel}")
                        m.d.comb += total.eq(byte + kept)
                        enable = replace | (load & inside & total[8])
                        # An iCE40 has a bit of the sum and its register in one cell only if the
                        # register takes the sum. Here it never does: without load it stays.
                        taken = Mux(load, taken, total)
                    with m.If(enable):
                        m.d.sync += kept.eq(taken)
                        with m.If(~inside):
                            m.d.sync += kept.eq(~0)
                    index = (row * c.cols + col) * c.ich + channel
                    m.d.comb += self.pixels.word_select(index, 8).eq(~kept)
        return m


def _rotate(m: Module, words: list, shift, lane: int):
    """Word that lane ``lane`` takes of ``words``, turned by ``shift``."""
    if len(words) == 1:
        return words[0]
    out = Signal(len(words[0]))
    m.d.comb += out.eq(Array(words[(lane + i) % len(words)] for i in range(len(words)))[shift])
    return out
