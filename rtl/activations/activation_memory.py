"""Activations of the network's tensors, in one bank for each pixel of a tile.

::

    address ─► address of each bank ─► slice 0 ─► byte 0 of rows x cols pixels
                      │
                   register ─────────► slice 1 ─► byte 1
                      │
                     ...

A window of rows x cols neighbouring pixels (neighbouring within a plane, see
`hiddenite.rtl.program.layer_table.LayerDescriptor`) touches each bank exactly once, wherever it
lies: the banks before the window's own bank hold its pixels one row of banks further on.

A chain of adders takes the bytes of a pixel one after the other: there each byte is a slice of its
own, and what it is to do is handed on from slice to slice. Elsewhere one slice has all bytes.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..array.timing import activation_skew
from ..configuration import Configuration
from ..interfaces import ActivationRead, ActivationWrite
from ..primitives.delay import delayed
from ..primitives.memory import MemoryShape
from .activation_slice import ActivationSlice

__all__ = ["ActivationMemory", "activation_banks", "memory_latency"]


def memory_latency(c: Configuration) -> int:
    """Cycles from an address to the activations of a window, and to the weights beside them."""
    # Bank and pixels' register; one behind the bank; one in front of it and one behind the
    # aligner; one on the way.
    return 2 + (c.pipelining > 0) + 2 * (c.pipelining > 1) + (c.pipelining > 2)


def activation_banks(c: Configuration) -> MemoryShape:
    """The banks, which are split into bytes where these come one after the other."""
    slices = c.unit if any(activation_skew(c)) else 1
    width = 8 * c.ich // slices
    count = c.banks * slices
    return MemoryShape("activation bank", count, c.activation_words, width, c.activation_ports)


class ActivationMemory(wiring.Component):
    """All slices, and what they have in common.

    Latency from ``read`` to ``pixels``: `memory_latency`, and `activation_skew` more for each byte.

    With one port, a write and a read in the same cycle exclude each other: the read gives nothing.

    Members
    -------
    read : `ActivationRead`; ``pixels`` take what is read for a step or a residual's word, and stay
        otherwise; the first ``min(ich, och)`` bytes are those of the step's ``part``, and its
        ``first`` begins a new maximum of them
    row_step_y, row_step_x : address from a row of banks to the next; they stay while words are read
    maximum : the first ``min(ich, och)`` bytes take what is read only where that is larger; stable
        while words are read
    int8 : see `ActivationSlice`; stable while words are read
    pixels : rows * cols words, row by row
    write : `ActivationWrite`
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "read": In(ActivationRead(c)),
                "row_step_y": In(c.address_bits),
                "row_step_x": In(c.address_bits),
                "maximum": In(1),
                "int8": In(1),
                "pixels": Out(c.banks * 8 * c.ich),
                "write": In(ActivationWrite(c)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c = self.c
        names = "bank_y", "bank_x", "rows", "cols", "part", "load", "first"
        read, step, write = self.read, self.read.step, self.write
        address = read.address
        beside = [read.bank_y, read.bank_x, read.rows, read.cols]
        beside += [step.part, step.valid | step.residual, step.first]
        row_step_y, row_step_x = self.row_step_y, self.row_step_x
        if c.pipelining > 2:
            address = delayed(m, address, "way_address")
            beside = [delayed(m, v, f"way_{n}") for n, v in zip(names, beside, strict=True)]
        if c.pipelining > 1:
            # They stay while a layer runs.
            row_step_y = delayed(m, row_step_y, "own_row_step_y")
            row_step_x = delayed(m, row_step_x, "own_row_step_x")
        bank_y, bank_x, *_ = beside

        # Bank by bank.
        places = [(row, col) for row in range(c.rows) for col in range(c.cols)]
        addresses, writes = [], []
        for row, col in places:
            addresses.append(Signal(c.address_bits, name=f"address_{row}_{col}"))
            m.d["sync" if c.pipelining > 1 else "comb"] += addresses[-1].eq(
                address
                + (Mux(bank_y > row, row_step_y, 0) if row < c.rows - 1 else 0)
                + (Mux(bank_x > col, row_step_x, 0) if col < c.cols - 1 else 0)
            )
            here = write.enable & (write.bank_y == row) & write.columns[col]
            writes.append(Mux(here, write.parts, 0))
        # What belongs to the words, when they are there.
        for stage in range(min(memory_latency(c) - 1, 3)):
            beside = [
                delayed(m, v, f"stage_{stage}_{n}") for n, v in zip(names, beside, strict=True)
            ]

        # A slice takes bytes that come together, of each unit of a word.
        size = 1 if any(activation_skew(c)) else c.unit
        units = range(0, c.ich, c.unit)
        maximum, int8 = self.maximum, self.int8
        writes = [*writes, write.address, write.data]
        for first in range(0, c.unit, size):
            # The writes of four slices come together: reads come later still.
            if first and first % 4 == 0:
                writes = [
                    delayed(m, v, f"write_{first}_{i}", reset_less=i >= c.banks)
                    for i, v in enumerate(writes)
                ]
            if size == 1:
                maximum = delayed(m, maximum, f"maximum_{first}", reset_less=True)
                int8 = delayed(m, int8, f"int8_{first}", reset_less=True)
            if first:
                addresses = [
                    delayed(m, v, f"address_{first}_{i}", reset_less=True)
                    for i, v in enumerate(addresses)
                ]
                beside = [
                    delayed(m, v, f"slice_{first}_{n}") for n, v in zip(names, beside, strict=True)
                ]
            m.submodules[f"slice_{first}"] = own = ActivationSlice(c, size)
            pairs = zip(names, beside, strict=True)
            *writes_own, write_address, write_data = writes
            data = [
                write_data[8 * (word + u + first) :][: 8 * size]
                for word in range(0, c.post_pixels * c.ich, c.ich)
                for u in units
            ]
            m.d.comb += [
                *(port.eq(value) for port, value in zip(own.addresses, addresses, strict=True)),
                *(getattr(own, f"read_{name}").eq(value) for name, value in pairs),
                *(port.eq(value) for port, value in zip(own.writes, writes_own, strict=True)),
                own.maximum.eq(maximum),
                own.int8.eq(int8),
                own.write_address.eq(write_address),
                own.write_data.eq(Cat(data)),
            ]
            for bank in range(c.banks):
                for number, u in enumerate(units):
                    target = self.pixels[8 * (bank * c.ich + u + first) :][: 8 * size]
                    m.d.comb += target.eq(
                        own.pixels.word_select(bank * len(units) + number, 8 * size)
                    )
        return m
