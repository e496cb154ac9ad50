"""Constructed weights of the tiles in use: a slice of memory for each output channel of a tile.

A word is ich masks (low half) and ich signs. Tiles that need half of the memory at most have one
half in turn: the next one is written while the first is read. A larger one is there alone.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .configuration import Configuration
from .memory import shared_memory

__all__ = ["TileBuffer", "TileWrite"]


class TileWrite(wiring.Signature):
    """One constructor lane's way into its slices.

    Members
    -------
    enable : writes in this cycle
    slice : lane n writes the output channels n, n + lanes, n + 2 * lanes, ...: which of them
    address, data : the word
    """

    def __init__(self, c: Configuration):
        super().__init__(
            {
                "enable": Out(1),
                "slice": Out(ceil_log2(c.och // c.constructor_lanes)),
                "address": Out(ceil_log2(c.tile_words)),
                "data": Out(2 * c.ich),
            }
        )


class TileBuffer(wiring.Component):
    """Memory of masks and signs. Latency from ``address`` to ``masks``: 2 cycles.

    Members
    -------
    writes : one port for each constructor lane
    address : word that is read of all slices
    masks, signs : ich bits for each output channel
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "writes": In(TileWrite(c)).array(c.constructor_lanes),
                "address": In(ceil_log2(c.tile_words)),
                "masks": Out(c.och * c.ich),
                "signs": Out(c.och * c.ich),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c = self.c
        # Two cycles. A tree has registers after the PEs, so that none are needed between memory and
        # PEs, where each takes a logic cell of its own: the address waits instead.
        address = self.address
        if c.array == "tree":
            address = Signal.like(self.address)
            m.d.sync += address.eq(self.address)
        for channel in range(c.och):
            index, lane = divmod(channel, c.constructor_lanes)
            port = self.writes[lane]
            m.submodules[f"slice_{channel}"] = shared = shared_memory(2 * c.ich, c.tile_words)
            words = shared.ports
            weights = words.read_data
            if c.array != "tree":
                weights = Signal(2 * c.ich, name=f"weights_{channel}", reset_less=True)
                m.d.sync += weights.eq(words.read_data)
            m.d.comb += [
                words.write.eq(port.enable & (port.slice == index)),
                words.write_address.eq(port.address),
                words.write_data.eq(port.data),
                words.read_address.eq(address),
                self.masks.word_select(channel, c.ich).eq(weights[: c.ich]),
                self.signs.word_select(channel, c.ich).eq(weights[c.ich :]),
            ]
        return m
