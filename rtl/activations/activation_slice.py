"""Some bytes of every activation word: banks, aligner, running maximum.

::

    addresses ─► bank 0 ─┐
                 bank 1 ─┤ aligner ─► zero outside the map ─► maximum ─► rows x cols pixels
                 ...     ┘

The pixels' registers also do maximum pooling: there they take only what is larger than what they
have.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..configuration import Configuration
from ..primitives.delay import delayed
from ..primitives.memory import shared_memory
from ..program.layer_table import INT8_ZERO

__all__ = ["ActivationSlice"]


class ActivationSlice(wiring.Component):
    """``size`` bytes of each unit of ``min(ich, och)`` bytes of all words.

    Latency from ``addresses`` to ``pixels``: 2 cycles, 3 with ``pipelining`` of 1, 4 with 2 or
    more. Everything with the prefix ``read_`` belongs to the words that the banks (with
    ``pipelining``, the registers behind them) give in this cycle.

    Parameters
    ----------
    c : Configuration
    size : int

    Members
    -------
    addresses : one for each bank
    read_bank_y, read_bank_x : the bank that the window's first pixel is in
    read_rows, read_cols : which rows and columns of the window are inside the map
    read_part : the word's unit that becomes its first one
    read_load : ``pixels`` take what is read; otherwise they stay
    read_first : the first unit of ``pixels`` begins a new maximum
    maximum : the first unit takes what is read only where that is larger; stable while words are
        read
    int8 : outside the map a byte is `INT8_ZERO`, not 0; stable while words are read
    pixels : rows * cols words of ``size`` bytes of each unit
    writes, write_address, write_data : which units of which bank's word are written; there is a
        word for each of `post_pixels` columns of banks, and again for those that follow
    """

    def __init__(self, c: Configuration, size: int):
        self.c, self.size = c, size
        self.units = c.ich // c.unit
        word = 8 * size * self.units
        super().__init__(
            {
                "addresses": In(c.address_bits).array(c.banks),
                "read_bank_y": In(ceil_log2(c.rows)),
                "read_bank_x": In(ceil_log2(c.cols)),
                "read_rows": In(c.rows),
                "read_cols": In(c.cols),
                "read_part": In(ceil_log2(self.units)),
                "read_load": In(1),
                "read_first": In(1),
                "maximum": In(1),
                "int8": In(1),
                "pixels": Out(c.banks * word),
                "writes": In(self.units).array(c.banks),
                "write_address": In(c.address_bits),
                "write_data": In(c.post_pixels * word),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, unit = self.c, 8 * self.size
        word = unit * self.units
        words = []
        for bank in range(c.banks):
            m.submodules[f"bank_{bank}"] = shared = shared_memory(
                word, c.activation_words, granularity=unit, ports=c.activation_ports
            )
            memory = shared.ports
            m.d.comb += [
                memory.write.eq(self.writes[bank]),
                memory.write_address.eq(self.write_address),
                memory.write_data.eq(self.write_data.word_select(bank % c.post_pixels, word)),
                memory.read_address.eq(self.addresses[bank]),
            ]
            words.append(memory.read_data)
        if c.pipelining > 0:
            words = [delayed(m, v, f"read_{i}", reset_less=True) for i, v in enumerate(words)]

        # Rotate along one axis, then along the other.
        turned = [
            [
                _rotate(m, words[r * c.cols : (r + 1) * c.cols], self.read_bank_x, col)
                for col in range(c.cols)
            ]
            for r in range(c.rows)
        ]
        pixels = [
            _rotate(m, [turned[i][col] for i in range(c.rows)], self.read_bank_y, row)
            for row in range(c.rows)
            for col in range(c.cols)
        ]
        names = "rows", "cols", "part", "load", "first"
        beside = [getattr(self, f"read_{name}") for name in names]
        if c.pipelining > 1:
            pairs = zip(names, beside, strict=True)
            beside = [delayed(m, value, f"aligned_{name}") for name, value in pairs]
            pixels = [delayed(m, v, f"aligned_{i}", reset_less=True) for i, v in enumerate(pixels)]
        rows, cols, part, load, first = beside
        replace = Signal()
        m.d.comb += replace.eq(load & (first | ~self.maximum))
        for index, pixel in enumerate(pixels):
            row, col = divmod(index, c.cols)
            parts = [pixel.word_select(i, unit) for i in range(self.units)]
            pixel = Cat(Array(parts)[part] if self.units > 1 else parts[0], *parts[1:])
            inside = Signal(name=f"inside_{row}_{col}")
            m.d.comb += inside.eq(rows[row] & cols[col])
            for number in range(self.size * self.units):
                byte = pixel.word_select(number, 8)
                # The complement, so that the carry of a sum says that the byte is larger.
                kept = Signal(8, reset_less=True, name=f"kept_{row}_{col}_{number}")
                taken, enable = ~byte, load
                if number < self.size:
                    total = Signal(9, name=f"total_{row}_{col}_{number}")
                    m.d.comb += total.eq(byte + kept)
                    enable = replace | (load & inside & total[8])
                    # An iCE40 has a bit of the sum and its register in one cell only if the
                    # register takes the sum. Here it never does: without load it stays. The
                    # highest one takes more besides than such a cell has inputs for.
                    taken = Cat(Mux(load, taken, total)[:7], taken[7])
                with m.If(enable):
                    m.d.sync += kept.eq(taken)
                    with m.If(~inside):
                        m.d.sync += kept.eq(~Mux(self.int8, INT8_ZERO, 0))
                own = index * self.size * self.units + number
                m.d.comb += self.pixels.word_select(own, 8).eq(~kept)
        return m


def _rotate(m: Module, words: list, shift, lane: int):
    """Word that lane ``lane`` takes of ``words``, turned by ``shift``."""
    if len(words) == 1:
        return words[0]
    out = Signal(len(words[0]))
    m.d.comb += out.eq(Array(words[(lane + i) % len(words)] for i in range(len(words)))[shift])
    return out
