"""Constructed weights of the tiles in use: a slice of memory for each output channel of a tile.

A word is ich masks (low half) and ich signs. Chains of adders take them from the first input to the
last one, so that some inputs' weights are read later (`hiddenite.rtl.array.timing.weight_skew`): a
slice is a memory for all inputs that come together. Tiles that need less than half of the memory
have one half in turn: the next one is written while the first is read. A larger one is there alone.
Each begins with the second word of its half.

A pool has no weights. It reads word 0, which no tile has: the constructor's lanes put the identity
there, in which output channel o has the weight +1 for input channel o alone.
"""

from itertools import pairwise

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..activations.activation_memory import memory_latency
from ..array.builds import build_of
from ..array.timing import channel_delays, weight_skew
from ..configuration import Configuration
from ..interfaces import TileWrite, WeightRead, Weights
from ..primitives.delay import delayed
from ..primitives.memory import MemoryShape, shared_memory

__all__ = ["TileBuffer", "tile_buffer_slices"]


def tile_buffer_slices(c: Configuration) -> MemoryShape:
    """The slices, one for each output channel and for all inputs that come together."""
    inputs = weight_skew(c).count(0)
    return MemoryShape("tile buffer slice", c.och * c.ich // inputs, c.tile_words, 2 * inputs, 2)


class TileBuffer(wiring.Component):
    """Memory of masks and signs.

    Latency from ``read`` to ``weights``: `memory_latency`, and `weight_skew` more for each input,
    `channel_delays` for each channel.

    Members
    -------
    writes : one port for each constructor lane
    read : `WeightRead`; without ``step``, ``weights`` mean nothing, and where a register gives them
        they are 0
    weights : `Weights`
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "writes": In(TileWrite(c)).array(c.constructor_lanes),
                "read": In(WeightRead(c)),
                "weights": Out(Weights(c)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, build = self.c, build_of(self.c)
        # Trees have registers behind PEs or sums, so that none are needed between memory and PEs,
        # each a logic cell of its own: the address waits instead.
        waits = not build.registers_weights
        # Words come late in a cycle: if there are registers enough, one is behind each memory.
        registered = c.pipelining > 1 and not waits
        cycles = memory_latency(c) - (1 if waits else 2 + registered)
        writes = [(port.enable, port.slice, port.address, port.data) for port in self.writes]
        if build.encode_signs:
            writes = [
                (*place, Cat(word[: c.ich], build.encode_signs(word[c.ich :])))
                for *place, word in writes
            ]
        skew = weight_skew(c)
        size = skew.count(0)
        for first in range(0, c.ich, size):
            address, step = self.read.address, self.read.step
            waiting = cycles + skew[first]
            for turn in range(waiting):
                address = delayed(m, address, f"address_{first}_{turn}")
            for turn in range(0 if waits else waiting + registered):
                step = delayed(m, step, f"step_{first}_{turn}")
            for channel, (before, late) in enumerate(pairwise((0, *channel_delays(c)))):
                if late > before:
                    address = delayed(m, address, f"address_{first}_to_{channel}")
                    step = delayed(m, step, f"step_{first}_to_{channel}")
                if not waits and (late > before or channel == 0):
                    idle = Signal(init=1, name=f"idle_{first}_{channel}")
                    m.d.sync += idle.eq(~step)
                index, lane = divmod(channel, c.constructor_lanes)
                enable, part, write_address, data = writes[lane]
                enable = enable & (part == index)
                data = Cat(data[first:][:size], data[c.ich + first :][:size])
                if build.chained:
                    # Lanes know late that they have finished a word; what they write is read later
                    # still.
                    enable = delayed(m, enable, "late_enable")
                    write_address = delayed(m, write_address, "late_address", reset_less=True)
                    data = delayed(m, data, "late_data", reset_less=True)
                shared = shared_memory(2 * size, c.tile_words)
                m.submodules[f"slice_{channel}_{first}"] = shared
                words = shared.ports
                weights = words.read_data
                if registered:
                    weights = delayed(m, weights, f"read_{channel}_{first}", reset_less=True)
                if not waits:
                    name = f"weights_{channel}_{first}"
                    register = Signal(2 * size, name=name, reset_less=True)
                    m.d.sync += register.eq(weights)
                    # Between steps PEs stand still, and what memories never had stays out of them:
                    # in a chain of carries, unknown bits of one sum would spoil the next one's.
                    with m.If(idle):
                        m.d.sync += register.eq(0)
                    weights = register
                place = c.ich * channel + first
                m.d.comb += [
                    words.write.eq(enable),
                    words.write_address.eq(write_address),
                    words.write_data.eq(data),
                    words.read_address.eq(address),
                    self.weights.masks[place:][:size].eq(weights[:size]),
                    self.weights.signs[place:][:size].eq(weights[size:]),
                ]
        return m
