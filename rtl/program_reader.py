"""Reads the program stream: packets, their CRCs, and who gets what.

::

    program ─► CRC ─┬─► key and descriptor ─► constructor
                    ├─► layer table        ─► layer memory
                    ├─► channel records    ─► post-processor
                    └─► mask words         ─► constructor

Anything but a flawless program ends in a state that only a reset leaves, with its `ErrorCode`.
"""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .checksum import Checksum
from .configuration import Configuration
from .program import (
    MAGIC,
    ChannelRecord,
    ConstructionDescriptor,
    ErrorCode,
    LayerTable,
    Opcode,
    words_of,
)

__all__ = ["ProgramReader"]


class ProgramReader(wiring.Component):
    """Parser of the program stream.

    Members
    -------
    i : the program
    stop : the engine has stopped with an error
    layers : words of layer tables, for the layer memory
    layer_commit : the table that was written last is right (for one cycle)
    construction : construction descriptor of the conv layer in hand
    clear, key_word, start_layer, start_tile, channels_last, room, complete, masks : see
        `Constructor`
    record_write, record_channel, record_half, record : a word of a channel record, which of its
        words it is (one bit each), and where the record goes
    tile_commit : the tile that was constructed last is right (for one cycle)
    quiet : the array's side has run all that was committed
    running : between the first word of a program and the end of its last layer
    error : why the program can't be run (`ErrorCode`), for one cycle
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "i": In(stream.Signature(StructLayout({"data": c.program_bits, "last": 1}))),
                "stop": In(1),
                "layers": Out(stream.Signature(c.program_bits)),
                "layer_commit": Out(1),
                "construction": Out(ConstructionDescriptor(c)),
                "clear": Out(1),
                "key_word": Out(1),
                "start_layer": Out(1),
                "start_tile": Out(1),
                "channels_last": Out(ceil_log2(c.och)),
                "room": In(1),
                "complete": In(1),
                "masks": Out(stream.Signature(c.program_bits)),
                "record_write": Out(words_of(ChannelRecord(c), c.program_bits)),
                "record_channel": Out(ceil_log2(c.och)),
                "record_half": Out(1),
                "record": Out(c.program_bits),
                "tile_commit": Out(1),
                "quiet": In(1),
                "running": Out(1),
                "error": Out(ErrorCode),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c = self.c
        bits = c.program_bits
        word = self.i.payload.data
        taken = Signal()
        m.d.comb += taken.eq(self.i.valid & self.i.ready)

        m.submodules.checksum = checksum = Checksum(bits)
        m.d.comb += checksum.data.eq(word)

        layer_words = LayerTable(c).words
        construction_words = words_of(ConstructionDescriptor(c), bits)
        record_words = words_of(ChannelRecord(c), bits)
        header = Const(MAGIC | c.fingerprint << 32, 64)
        header_words, crc_words = 64 // bits, max(1, 32 // bits)

        count = Signal(range(max(layer_words, construction_words, record_words, header_words)))
        channel = Signal(range(c.och))
        opcode = Signal(Opcode)
        # The layer needs another tile; this one is its last.
        more_tiles, last_tile = Signal(), Signal()
        constructing = Signal(construction_words * bits)
        half = Signal()
        m.d.comb += [
            self.construction.eq(constructing),
            self.record.eq(word),
            self.record_channel.eq(channel),
            self.record_half.eq(half),
            self.channels_last.eq(Mux(last_tile, self.construction.channels_last, c.och - 1)),
            self.layers.payload.eq(word),
            self.masks.payload.eq(word),
        ]

        def fail(code):
            m.d.comb += self.error.eq(code)
            m.next = "STOPPED"

        def counted(words, following):
            """Count the words of an item, then go on to the next state."""
            m.d.sync += count.eq(count + 1)
            with m.If(count == words - 1):
                m.d.sync += count.eq(0)
                m.next = following

        ends = Signal()
        with m.FSM():
            with m.State("HEADER"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(~self.running):
                    m.d.comb += self.clear.eq(1)
                with m.If(taken):
                    m.d.comb += checksum.take.eq(1)
                    m.d.sync += [self.running.eq(1), opcode.eq(0)]
                    counted(header_words, "CHECKSUM")
                    expected = Array(header.word_select(i, bits) for i in range(header_words))[
                        count
                    ]
                    with m.If(word != expected):
                        with m.If((count * bits < 32) & (word[:32] != expected[:32])):
                            fail(ErrorCode.MAGIC)
                        with m.Else():
                            fail(ErrorCode.CONFIGURATION)
            with m.State("CHECKSUM"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(taken):
                    m.d.comb += checksum.check.eq(1)
                    counted(crc_words, "CHECKED")
                    m.d.comb += ends.eq((opcode == Opcode.END) & (count == crc_words - 1))
                    with m.If(~checksum.right):
                        fail(ErrorCode.CHECKSUM)
                    with m.Elif(ends & ~self.i.payload.last):
                        fail(ErrorCode.TRAILING)
            with m.State("CHECKED"):
                m.next = "OPCODE"
                with m.Switch(opcode):
                    with m.Case(Opcode.LAYER):
                        m.d.comb += self.layer_commit.eq(1)
                    with m.Case(Opcode.CONV):
                        m.d.comb += [self.layer_commit.eq(1), self.start_layer.eq(1)]
                        m.d.sync += more_tiles.eq(1)
                    with m.Case(Opcode.TILE, Opcode.LAST_TILE):
                        m.d.comb += self.tile_commit.eq(1)
                        m.d.sync += half.eq(~half)
                        with m.If(last_tile):
                            m.d.sync += more_tiles.eq(0)
                    with m.Case(Opcode.END):
                        m.next = "END"
            with m.State("OPCODE"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(taken):
                    m.d.comb += checksum.take.eq(1)
                    m.d.sync += [
                        opcode.eq(word),
                        last_tile.eq(word == Opcode.LAST_TILE),
                        channel.eq(0),
                    ]
                    with m.If(more_tiles):
                        m.next = "ROOM"
                        with m.If((word != Opcode.TILE) & (word != Opcode.LAST_TILE)):
                            fail(ErrorCode.OPCODE)
                    with m.Elif(word == Opcode.LAYER):
                        m.next = "LAYER"
                    with m.Elif(word == Opcode.CONV):
                        m.next = "KEY"
                    with m.Elif(word == Opcode.END):
                        m.next = "CHECKSUM"
                    with m.Else():
                        fail(ErrorCode.OPCODE)
            with m.State("KEY"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(taken):
                    m.d.comb += [checksum.take.eq(1), self.key_word.eq(1)]
                    counted(crc_words, "CONSTRUCTION")
            with m.State("CONSTRUCTION"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(taken):
                    m.d.comb += checksum.take.eq(1)
                    m.d.sync += constructing.eq(Cat(constructing, word)[bits:])
                    counted(construction_words, "LAYER")
            with m.State("LAYER"):
                m.d.comb += [
                    self.layers.valid.eq(self.i.valid),
                    self.i.ready.eq(self.layers.ready),
                ]
                with m.If(taken):
                    m.d.comb += checksum.take.eq(1)
                    counted(layer_words, "CHECKSUM")
            with m.State("ROOM"), m.If(self.room):
                m.next = "RECORD"
            with m.State("RECORD"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(taken):
                    m.d.comb += checksum.take.eq(1)
                    m.d.comb += self.record_write.eq(1 << count)
                    m.d.sync += count.eq(count + 1)
                    with m.If(count == record_words - 1):
                        m.d.sync += [count.eq(0), channel.eq(channel + 1)]
                        with m.If(channel == self.channels_last):
                            m.next = "START"
            with m.State("START"):
                m.d.comb += self.start_tile.eq(1)
                m.next = "MASK"
            with m.State("MASK"):
                m.d.comb += [
                    self.masks.valid.eq(self.i.valid),
                    self.i.ready.eq(self.masks.ready),
                ]
                with m.If(taken):
                    m.d.comb += checksum.take.eq(1)
                with m.If(self.complete):
                    m.next = "CHECKSUM"
            with m.State("END"), m.If(self.quiet):
                m.d.comb += checksum.clear.eq(1)
                m.d.sync += self.running.eq(0)
                m.next = "HEADER"
            with m.State("STOPPED"):
                pass

        # Only the word that ends an end packet may be the last.
        with m.If(taken & self.i.payload.last & ~ends):
            m.d.comb += self.error.eq(ErrorCode.TRUNCATED)
        with m.If(self.stop):
            m.d.comb += self.i.ready.eq(0)
        return m
