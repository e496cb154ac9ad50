"""The channel records of two tiles of output channels, and how narrow ones become full.

::

    program reader ─► write ─► memory of lane 0 ─► record of lane 0
                           ├─► memory of lane 1 ─► record of lane 1
                           └─► ...
"""

from amaranth.hdl import Cat, Module, Mux
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..configuration import Configuration
from ..interfaces import RecordWrite
from ..primitives.delay import delayed
from ..primitives.memory import MemoryShape, shared_memory
from ..program.packets import NARROW_BITS, ChannelRecord, has_narrow_records, words_of

__all__ = ["RecordMemory", "channel_records"]

POSITIVE_ZEROS = 3
"""Highest bits of a narrow record that are 0 where its bias is not negative."""


def channel_records(c: Configuration) -> MemoryShape:
    """The channels' records, two tiles of them, a memory for each lane."""
    depth = max(2, 2 * c.och // c.post_lanes)
    width = words_of(ChannelRecord(c), c.program_bits) * c.program_bits
    return MemoryShape("channel records", c.post_lanes, depth, width, 2)


class RecordMemory(wiring.Component):
    """Keeps records as they come from the program, and gives those of a beat.

    With ``pipelining``, a record is written a cycle late.

    Members
    -------
    write : `RecordWrite`
    beat, half : ``post_lanes`` channels of a tile, and the half of the memory with its records
    records : those of these channels, a cycle later
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "write": In(RecordWrite(c)),
                "beat": In(ceil_log2(c.och // c.post_lanes)),
                "half": In(1),
                "records": Out(data.ArrayLayout(ChannelRecord(c), c.post_lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c, shape, bits = self.c, channel_records(self.c), self.c.program_bits
        given = self.write
        write = [given.words, given.narrow, given.channel, given.half, given.data]
        if c.pipelining:
            # The reader is far away, and a record is needed much later.
            write = [delayed(m, value, f"late_{i}") for i, value in enumerate(write)]
        words, narrow, channel, half, word = write
        lane_bits = ceil_log2(c.post_lanes)
        own_lane, entry = channel[:lane_bits], channel[lane_bits:]
        for lane in range(c.post_lanes):
            memory = shared_memory(shape.width, shape.depth, granularity=bits)
            m.submodules[f"lane_{lane}"] = memory
            ports = memory.ports
            own = own_lane == lane if lane_bits else 1
            enable, content = words, word.replicate(shape.width // bits)
            if has_narrow_records(c) and bits > NARROW_BITS:
                # Two channels a word: this one or the one below it.
                part = word.word_select(lane % 2, NARROW_BITS)
                above = _above(part, shape.width - NARROW_BITS)
                content = Mux(narrow, Cat(part, above), content)
                own |= narrow & (own_lane == lane & ~1)
            elif has_narrow_records(c):
                # The last word that comes is written beside what it has to say of those above it.
                count = NARROW_BITS // bits
                beside = (narrow & words[count - 1]).replicate(len(words) - count)
                enable = Cat(words[:count], words[count:] | beside)
                above = Mux(narrow, _above(word, bits), word).replicate(len(words) - count)
                content = Cat(word.replicate(count), above)
            m.d.comb += [
                ports.write.eq(Mux(own, enable, 0)),
                ports.write_address.eq(Cat(entry, half)),
                ports.write_data.eq(content),
                ports.read_address.eq(Cat(self.beat, self.half)),
                self.records[lane].eq(ports.read_data),
            ]
        return m


def _above(part, width: int):
    """Bits of a bias above those in a narrow record, whose highest ones decide."""
    return part[-POSITIVE_ZEROS:].any().replicate(width)
