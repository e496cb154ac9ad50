"""Activations of the network's tensors, in one bank for each pixel of a tile.

::

    address ─► bank 0 ─┐
               bank 1 ─┤ aligner ─► zero outside the map ─► rows x cols pixels
               ...     ┘

A window of rows x cols neighbouring pixels (neighbouring within a plane, see
`hiddenite.rtl.program.LayerDescriptor`) touches each bank exactly once, wherever it lies: the banks
before the window's own bank hold its pixels one row of banks further on.
"""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .configuration import Configuration
from .memory import shared_memory

__all__ = ["ActivationMemory"]


class ActivationMemory(wiring.Component):
    """Banks and aligner. Latency from ``address`` to ``pixels``: 2 cycles.

    With one port, a write and a read in the same cycle exclude each other: the read gives nothing.

    Members
    -------
    address, bank_y, bank_x : word of the window's first pixel and the bank it is in
    row_step_y, row_step_x : address from a row of banks to the next
    rows, cols : which rows and columns of the window are inside the map
    pixels : rows * cols words, row by row; zero outside the map
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
            here = Signal()
            m.d.comb += [
                here.eq(self.write & (self.write_bank_y == row) & (self.write_bank_x == col)),
                bank.write.eq(Mux(here, self.write_parts, 0)),
                bank.write_address.eq(self.write_address),
                bank.write_data.eq(self.write_data),
                bank.read_address.eq(
                    self.address
                    + (Mux(self.bank_y > row, self.row_step_y, 0) if row < c.rows - 1 else 0)
                    + (Mux(self.bank_x > col, self.row_step_x, 0) if col < c.cols - 1 else 0)
                ),
            ]
            words.append(bank.read_data)

        bank_y, bank_x = Signal.like(self.bank_y), Signal.like(self.bank_x)
        rows, cols = Signal(c.rows), Signal(c.cols)
        m.d.sync += [
            bank_y.eq(self.bank_y),
            bank_x.eq(self.bank_x),
            rows.eq(self.rows),
            cols.eq(self.cols),
        ]
        # Rotate along one axis, then along the other.
        turned = [
            [
                _rotate(m, [words[r * c.cols + i] for i in range(c.cols)], bank_x, col)
                for col in range(c.cols)
            ]
            for r in range(c.rows)
        ]
        for row in range(c.rows):
            for col in range(c.cols):
                pixel = _rotate(m, [turned[i][col] for i in range(c.rows)], bank_y, row)
                lane = Signal(word, reset_less=True, name=f"pixel_{row}_{col}")
                m.d.sync += lane.eq(Mux(rows[row] & cols[col], pixel, 0))
                m.d.comb += self.pixels.word_select(row * c.cols + col, word).eq(lane)
        return m


def _rotate(m: Module, words: list, shift, lane: int):
    """Word that lane ``lane`` takes of ``words``, turned by ``shift``."""
    if len(words) == 1:
        return words[0]
    out = Signal(len(words[0]))
    m.d.comb += out.eq(Array(words[(lane + i) % len(words)] for i in range(len(words)))[shift])
    return out
