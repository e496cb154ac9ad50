"""Layer tables between the program reader and the array's side.

::

    program reader ─► slot 0 ─┬─► descriptor
                      slot 1  ├─► increments of the window, of the residual
                      ...     └─► increments of the store

A layer's table stays in its slot while the layer runs; only the descriptor is copied to registers,
as that is needed all the time. Where the store's row has a register in front of the memory
(``pipelining`` of 2 or more), those that blocks take are others than those that are filled.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..configuration import Configuration
from ..interfaces import StoreTableRead, WindowTableRead
from ..primitives.delay import delayed_copy
from ..primitives.memory import MemoryShape
from .layer_table import LayerDescriptor, LayerTable

__all__ = ["SLOTS", "LayerMemory", "load_cycles", "table_memories"]

SLOTS = 4
"""Layer tables in the memory: that of the layer that runs, and those of the layers after it."""


def load_cycles(c: Configuration) -> int:
    """Cycles in which a descriptor is loaded."""
    return LayerTable(c).descriptor_rows + 1 + (c.pipelining > 1)


def table_memories(c: Configuration) -> tuple[MemoryShape, MemoryShape]:
    """The tables' rows, and the increments of outputs in them, which are read apart."""
    table = LayerTable(c)
    depth = SLOTS * table.depth
    return (
        MemoryShape("layer tables", 1, depth, table.columns * c.program_bits, 2),
        # Read without a register behind it where there is one in front.
        MemoryShape("output increments", 1, depth, table.store_bits, 2, c.pipelining > 1),
    )


class LayerMemory(wiring.Component):
    """Takes layer tables, and gives one after the other.

    Members
    -------
    words : words of tables
    parts : which parts of `LayerTable.parts` the table in hand has, one bit each
    word_last : the next word is the last of its table
    commit : the table that was written last is right (for one cycle)
    empty : there is no table that is right
    load : loads the descriptor, until ``loaded``: `load_cycles`
    loaded : the descriptor is there after this cycle, and in ``window.increment`` the row behind it
    done : the table is no longer needed (for one cycle)
    layer, other_layer : descriptor, for blocks that may be far from each other
    window, store : `WindowTableRead`, `StoreTableRead`
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "words": In(stream.Signature(c.program_bits)),
                "parts": In(len(LayerTable(c).parts)),
                "word_last": Out(1),
                "commit": In(1),
                "empty": Out(1),
                "load": In(1),
                "loaded": Out(1),
                "done": In(1),
                "layer": Out(LayerDescriptor(c)),
                "other_layer": Out(LayerDescriptor(c)),
                "window": In(WindowTableRead(c)),
                "store": In(StoreTableRead(c)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, table, bits = self.c, LayerTable(self.c), self.c.program_bits
        depth = SLOTS * table.depth

        # Writing; the pointers have one bit more than the number of a slot.
        filled, current = Signal(range(2 * SLOTS)), Signal(range(2 * SLOTS))
        row, column = Signal(range(table.depth)), Signal(range(table.columns))
        following, row_last = Signal.like(row), Signal()
        write, column_last = Signal(), Signal()
        slot = slice(0, ceil_log2(SLOTS))
        m.d.comb += [
            self.words.ready.eq((filled ^ current) != SLOTS),
            self.empty.eq(filled == current),
            write.eq(self.words.valid & self.words.ready),
            column_last.eq(column == table.columns - 1),
            self.word_last.eq(column_last & row_last),
            following.eq(row + 1),
        ]
        # Behind the rows that every layer has, and behind each part, the next part that is there.
        parts = list(zip(self.parts, table.parts.values(), strict=True))
        ends = [table.always, *(rows.stop for _, rows in parts)]
        with m.Switch(row):
            for number, end in enumerate(ends):
                with m.Case(end - 1):
                    m.d.comb += row_last.eq(1)
                    for there, rows in reversed(parts[number:]):
                        with m.If(there):
                            m.d.comb += [row_last.eq(0), following.eq(rows.start)]
        with m.If(write):
            m.d.sync += column.eq(column + 1)
            with m.If(column_last):
                m.d.sync += [column.eq(0), row.eq(following)]
            with m.If(self.word_last):
                m.d.sync += row.eq(0)
        m.d.sync += [filled.eq(filled + self.commit), current.eq(current + self.done)]

        # The whole row for the window, the lowest bits of it for the store. No row is read while
        # its slot is written: no logic for that case.
        apart = {"no_rw_check": 1}
        m.submodules.rows = whole = memory.Memory(
            shape=table.columns * bits, depth=depth, init=[], attrs=apart
        )
        m.submodules.store_rows = part = memory.Memory(
            shape=table.store_bits, depth=depth, init=[], attrs=apart
        )
        here = Cat(row, filled[slot])
        for port in (
            whole.write_port(granularity=bits),
            part.write_port(granularity=table.store_bits // table.store_columns),
        ):
            m.d.comb += [
                port.addr.eq(here),
                port.data.eq(self.words.payload.replicate(table.columns)),
                port.en.eq(Mux(write, 1 << column, 0)),
            ]

        # Reading; the descriptor's rows pass through a chain of registers.
        whole_read = whole.read_port()
        # The store knows late which row it needs: a register in front of the memory or behind it.
        in_front = c.pipelining > 1
        part_read = part.read_port(domain="comb" if in_front else "sync")
        store_row = Signal(ceil_log2(depth))
        m.d["sync" if in_front else "comb"] += store_row.eq(Cat(self.store.row, current[slot]))
        last = load_cycles(c) - 1
        loading = Signal(range(last + 1))
        chain = Signal(table.descriptor_rows * table.descriptor_bits, reset_less=True)
        above = whole_read.data[c.address_bits :]
        # The row behind the descriptor stays until the end.
        size = table.descriptor_rows
        loading_row = Mux(loading > size, size, loading) if last > size else loading
        m.d.comb += [
            whole_read.en.eq(self.load | self.window.enable),
            whole_read.addr.eq(Cat(Mux(self.load, loading_row, self.window.row), current[slot])),
            part_read.addr.eq(store_row),
            self.window.increment.eq(above),
            self.window.residual.eq(whole_read.data),
            self.store.increment.eq(part_read.data),
            self.loaded.eq(self.load & (loading == last)),
        ]
        for copy, port in enumerate((self.layer, self.other_layer)):
            value = delayed_copy(m, chain, f"copy_{copy}", copy) if in_front else chain
            m.d.comb += port.eq(value)
        with m.If(self.load):
            m.d.sync += loading.eq(Mux(self.loaded, 0, loading + 1))
            with m.If((loading != 0) & (loading <= size if last > size else 1)):
                row_of_chain = above[: table.descriptor_bits]
                m.d.sync += chain.eq(Cat(chain, row_of_chain)[table.descriptor_bits :])
        return m
