"""What a host asks for: headers, offsets and lengths of right frames."""

import enum

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .protocol import CHECKSUM_BYTES, LONGEST_PIECE, FrameType
from .stream_buffer import LENGTH_BITS

__all__ = ["Answer", "RequestReader"]

_TOO_LONG = LONGEST_PIECE + CHECKSUM_BYTES + 1


class Answer(enum.IntEnum):
    """What a request is answered with."""

    STATUS = 0
    INFO = 1
    RESULT = 2


class RequestReader(wiring.Component):
    """Acts on right frames, in the second cycle after their flag.

    The bytes of a piece go to the buffers at once; ``length`` then counts those of the CRC too, and
    at the frame's end takes four back.

    Members
    -------
    data, valid, end, right : see `FrameReceiver`
    busy : there is no room for another answer: whatever comes is dropped
    program_offset, image_offset : offsets that pieces must have
    program_own, image_own : these streams come from the board's own memory
    unknown_sources : the session asks for more sources than there can be
    session : the current one
    opened : a new session begins (for one cycle)
    program_write, image_write, length, program_commit, image_commit, last, begin : see
        `StreamBuffer`
    offset_low, offset_high, result_known, release, hold : see `ResultBuffer`
    answer, answered : an answer to be given (for one cycle)
    """

    def __init__(self):
        super().__init__(
            {
                "data": In(8),
                "valid": In(1),
                "end": In(1),
                "right": In(1),
                "busy": In(1),
                "program_offset": In(16),
                "image_offset": In(16),
                "program_own": Out(1),
                "image_own": Out(1),
                "unknown_sources": Out(1),
                "session": Out(8),
                "opened": Out(1),
                "program_write": Out(1),
                "image_write": Out(1),
                "length": Out(LENGTH_BITS),
                "program_commit": Out(1),
                "image_commit": Out(1),
                "last": Out(1),
                "begin": Out(1),
                "offset_low": Out(1),
                "offset_high": Out(1),
                "result_known": In(1),
                "release": Out(1),
                "hold": Out(1),
                "answer": Out(Answer),
                "answered": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        data, length = self.data, self.length
        position = Signal(range(5))
        hello, open_, program, image, result = (
            Signal(name=name) for name in ("hello", "open", "program", "image", "result")
        )
        current, expected = Signal(), Signal()
        session, own, unknown = Signal(8), Signal(2), Signal()
        offset = Mux(program, self.program_offset, self.image_offset)
        writes = Signal()
        m.d.comb += [
            writes.eq(self.valid & (position == 4) & current & expected),
            self.program_write.eq(writes & program & ~self.program_own),
            self.image_write.eq(writes & image & ~self.image_own),
            self.offset_low.eq(self.valid & result & (position == 2)),
            self.offset_high.eq(self.valid & result & (position == 3)),
        ]
        holding = Signal()
        m.d.comb += self.hold.eq(holding | self.offset_low)
        with m.If(self.valid):
            with m.If(position != 4):
                m.d.sync += position.eq(position + 1)
            with m.Elif(length != _TOO_LONG):
                m.d.sync += length.eq(length + 1)
            with m.Switch(position):
                with m.Case(0):
                    m.d.sync += [
                        hello.eq(data == FrameType.HELLO),
                        open_.eq(data == FrameType.OPEN),
                        program.eq(data[1:] == FrameType.PROGRAM >> 1),
                        image.eq(data[1:] == FrameType.IMAGE >> 1),
                        result.eq(data == FrameType.RESULT),
                        self.last.eq(data[0]),
                    ]
                with m.Case(1):
                    m.d.sync += [current.eq(data == self.session), session.eq(data)]
                with m.Case(2):
                    m.d.sync += [
                        expected.eq(data == offset[:8]),
                        own.eq(data),
                        unknown.eq(data[2:] != 0),
                        holding.eq(result),
                    ]
                with m.Case(3):
                    m.d.sync += expected.eq(expected & (data == offset[8:]))

        # A cycle to take the CRC off the length, and one to act. The next byte is far away.
        ended, finish = Signal(), Signal()
        m.d.sync += [
            ended.eq(self.end),
            finish.eq(self.end & self.right & (position == 4) & ~self.busy),
        ]
        with m.If(self.end):
            m.d.sync += length[2:].eq(length[2:] - CHECKSUM_BYTES // 4)
        m.d.comb += self.begin.eq(ended)
        with m.If(ended):
            m.d.sync += [position.eq(0), length.eq(0), holding.eq(0)]

        # A header shorter than four bytes has bytes of the CRC in the place of the others.
        below = 1 << LENGTH_BITS
        piece = Signal()
        takes = Signal()
        m.d.comb += [
            piece.eq((program | image) & (length != 0) & (length <= LONGEST_PIECE)),
            takes.eq(finish & piece & current & expected),
            self.program_commit.eq(takes & program & ~self.program_own),
            self.image_commit.eq(takes & image & ~self.image_own),
        ]
        with m.If(finish):
            with m.If(hello & (length == below - 2)):
                m.d.comb += [self.answered.eq(1), self.answer.eq(Answer.INFO)]
            with m.If(open_ & (length == below - 1)):
                m.d.comb += [self.answered.eq(1), self.opened.eq(~current)]
            with m.If(piece & current):
                m.d.comb += self.answered.eq(1)
            with m.If(result & (length == 0) & current):
                m.d.comb += [self.answered.eq(1), self.release.eq(self.result_known)]
                with m.If(self.result_known):
                    m.d.comb += self.answer.eq(Answer.RESULT)
        with m.If(self.opened):
            m.d.sync += [
                self.session.eq(session),
                self.program_own.eq(own[0]),
                self.image_own.eq(own[1]),
                self.unknown_sources.eq(unknown),
            ]
        return m
