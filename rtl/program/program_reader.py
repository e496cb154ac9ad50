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
from amaranth.lib.wiring import In, Out

from ..configuration import Configuration
from ..interfaces import Construction, RecordWrite, packet_stream
from .checksum import Checksum
from .layer_table import LayerTable
from .packets import (
    MAGIC,
    NARROW,
    NARROW_BITS,
    ChannelRecord,
    ConstructionDescriptor,
    ErrorCode,
    Opcode,
    crc_words,
    has_narrow_records,
    words_of,
)

__all__ = ["CHECK_LATENCY", "ProgramReader"]

CHECK_LATENCY = 2
"""Cycles from the last word of a CRC until the packet is used: one for an error to reach its
register, and one to stop the engine."""


class ProgramReader(wiring.Component):
    """Parser of the program stream.

    Members
    -------
    i : the program
    stop : the engine has stopped with an error
    layers, layer_parts : words of layer tables, for the layer memory; parts of the one in hand
    layers_end : the word in hand ends a table
    layer_commit : the table that was written last is right (for one cycle)
    construction : `Construction`
    records : `RecordWrite`
    quiet : the array's side has run all that was committed
    running : between the first word of a program and the end of its last layer
    error : why the program can't be run (`ErrorCode`), for one cycle, the one after it is seen
    """

    def __init__(self, c: Configuration):
        self.c = c
        super().__init__(
            {
                "i": In(packet_stream(c.program_bits)),
                "stop": In(1),
                "layers": Out(stream.Signature(c.program_bits)),
                "layer_parts": Out(len(LayerTable(c).parts)),
                "layers_end": In(1),
                "layer_commit": Out(1),
                "construction": Out(Construction(c)),
                "records": Out(RecordWrite(c)),
                "quiet": In(1),
                "running": Out(1),
                "error": Out(ErrorCode),
            }
        )

    def elaborate(self, platform):
        m = Module()
        c = self.c
        bits, to, records = c.program_bits, self.construction, self.records
        word = self.i.payload.data
        taken, offered = Signal(), Signal()
        m.d.comb += [taken.eq(self.i.valid & self.i.ready), offered.eq(self.i.valid & ~self.stop)]

        crc_length = crc_words(bits)
        conv_words = crc_length + words_of(ConstructionDescriptor(c), bits)
        record_words = words_of(ChannelRecord(c), bits)
        m.submodules.checksum = checksum = Checksum(bits, c.fingerprint)
        m.d.comb += [checksum.data.eq(word), checksum.clear.eq(to.clear)]

        count = Signal(range(max(crc_length, conv_words, record_words)))
        channel = Signal(range(c.och))
        # Of the packet in hand, 0 for the header; its lowest bit says that a tile follows.
        opcode, narrow = Signal(3), Signal()
        more_tiles = opcode[0]
        kinds = Opcode.LAYER, Opcode.TILE, Opcode.END
        layer, tile, end = (opcode[1:] == kind >> 1 for kind in kinds)
        forms, parts = NARROW * has_narrow_records(c), list(LayerTable(c).parts)
        tile_opcodes = _patterns((Opcode.TILE, Opcode.LAST_TILE), forms, bits)
        conv_opcodes, layer_opcodes = (
            _patterns((kind,), sum(parts), bits) for kind in (Opcode.CONV, Opcode.LAYER)
        )
        of_record = Const(record_words)
        if has_narrow_records(c):
            of_record = Mux(narrow, max(1, NARROW_BITS // bits), record_words)
        # Narrow records of two channels may be in one word, which counts as that of the second.
        second = narrow if has_narrow_records(c) and bits > NARROW_BITS else 0
        constructing = Signal(words_of(ConstructionDescriptor(c), bits) * bits)
        half = Signal()
        m.d.comb += [
            to.layer.eq(constructing),
            records.data.eq(word),
            records.channel.eq(channel),
            records.half.eq(half),
            records.narrow.eq(narrow),
            to.half.eq(half),
            to.channels_last.eq(Mux(more_tiles, c.och - 1, to.layer.channels_last)),
            self.layers.payload.eq(word),
            to.masks.payload.eq(word),
        ]

        def counted(words):
            """Count the words of an item; 1 with its last one."""
            ends = Signal()
            m.d.comb += ends.eq(count == words - 1)
            m.d.sync += count.eq(Mux(ends, 0, count + 1))
            return ends

        ready, program_ends = Signal(), Signal()
        error = Signal(ErrorCode)
        m.d.sync += self.error.eq(error)
        m.d.comb += self.i.ready.eq(ready & ~self.stop)
        with m.FSM() as fsm:
            m.d.comb += checksum.take.eq(taken & ~fsm.ongoing("CHECKSUM"))
            with m.State("HEADER"):
                m.d.comb += ready.eq(1)
                magic = Const(MAGIC, max(32, bits))
                expected = Array(magic.word_select(i, bits) for i in range(crc_length))[count]
                with m.If(offered):
                    m.d.sync += self.running.eq(1)
                    with m.If(counted(crc_length)):
                        m.next = "CHECKSUM"
                    with m.If(word != expected):
                        m.d.comb += error.eq(ErrorCode.MAGIC)
            with m.State("CHECKSUM"):
                m.d.comb += [ready.eq(1), checksum.check.eq(offered)]
                with m.If(offered):
                    with m.If(counted(crc_length)):
                        m.d.comb += program_ends.eq(end)
                        m.next = "WAIT"
                    with m.If(~checksum.right):
                        # It begins with the fingerprint.
                        m.d.comb += error.eq(
                            Mux(opcode == 0, ErrorCode.CONFIGURATION, ErrorCode.CHECKSUM)
                        )
            # An error is in its register now; behind it, it has stopped the engine.
            with m.State("WAIT"):
                m.next = "CHECKED"
            with m.State("CHECKED"), m.If(~self.stop):
                m.d.comb += [
                    self.layer_commit.eq(layer),
                    to.start_layer.eq(layer & more_tiles),
                    to.commit_tile.eq(tile),
                    to.clear.eq(end & self.quiet),
                ]
                m.d.sync += half.eq(half ^ tile)
                with m.If(~end):
                    m.next = "OPCODE"
                with m.Elif(self.quiet):
                    m.d.sync += [opcode.eq(0), self.running.eq(0)]
                    m.next = "HEADER"
            with m.State("OPCODE"):
                m.d.comb += ready.eq(1)
                with m.If(offered):
                    m.d.sync += [
                        opcode.eq(word),
                        narrow.eq((word & NARROW).any()),
                        self.layer_parts.eq(Cat((word & part).any() for part in parts)),
                        channel.eq(0),
                    ]
                    with m.Switch(word):
                        with m.Case(*layer_opcodes):
                            m.next = "BODY"
                        with m.Case(*conv_opcodes, *tile_opcodes):
                            m.next = "ITEM"
                        with m.Case(Opcode.END):
                            m.next = "CHECKSUM"
                        with m.Default():
                            m.d.comb += error.eq(ErrorCode.OPCODE)
                    with m.If(more_tiles != word.matches(*tile_opcodes)):
                        m.d.comb += error.eq(ErrorCode.OPCODE)
            # Key and construction descriptor of a conv, or channel records of a tile.
            with m.State("ITEM"):
                item = offered & (~tile | to.room)
                m.d.comb += [
                    ready.eq(~tile | to.room),
                    to.key_word.eq(item & ~tile & (count < crc_length)),
                    records.words.eq(Mux(item & tile, 1 << count, 0)),
                ]
                with m.If(item):
                    with m.If(~tile):
                        # The key's words pass through.
                        m.d.sync += constructing.eq(Cat(constructing, word)[bits:])
                    with m.If(counted(Mux(tile, of_record, conv_words))):
                        m.d.sync += channel.eq((channel | second) + 1)
                        with m.If(~tile | ((channel | second) == (to.channels_last | second))):
                            m.d.comb += to.start_tile.eq(tile)
                            m.next = "BODY"
            # Layer table, or mask.
            with m.State("BODY"):
                m.d.comb += [
                    ready.eq(Mux(tile, to.masks.ready, self.layers.ready)),
                    self.layers.valid.eq(self.i.valid & ~tile),
                    to.masks.valid.eq(self.i.valid & tile),
                ]
                with m.If(Mux(tile, to.complete, taken & self.layers_end)):
                    m.next = "CHECKSUM"

        # Only the word that ends an end packet may be the last. Another one is seen a cycle late,
        # as masks take long to say that they take a word; what came before has been found right.
        cut = Signal()
        m.d.sync += cut.eq(taken & self.i.payload.last & ~program_ends)
        with m.If(offered & ~self.i.payload.last & program_ends & checksum.right):
            m.d.comb += error.eq(ErrorCode.TRAILING)
        with m.If(cut):
            m.d.comb += error.eq(ErrorCode.TRUNCATED)
        return m


def _patterns(opcodes, extra: int, bits: int) -> list[str]:
    """Patterns of words of these opcodes with any of the bits ``extra`` besides."""
    return [
        "".join("-" if extra >> i & 1 else str(opcode >> i & 1) for i in reversed(range(bits)))
        for opcode in opcodes
    ]
