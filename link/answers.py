"""What the board answers: bodies of INFO, STATUS and RESULT, byte by byte."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .protocol import HEADER, LONGEST_RESULT, OFFSET, STATUS, FrameType
from .requests import Answer

__all__ = ["AnswerWriter"]

_STATUS_BYTES = HEADER.size + STATUS.size
_RESULT_HEADER = HEADER.size + OFFSET.size


class AnswerWriter(wiring.Component):
    """Gives one answer after another; one more can wait.

    Two bytes that belong together are taken in the same cycle.

    Parameters
    ----------
    info_bytes : int
        Length of an INFO's body. Its bytes are constants of the `ResultBuffer`, in their place.

    Members
    -------
    answer, answered : an answer to be given (for one cycle)
    forget : drop an answer that waits
    busy : an answer waits
    session, state, error, layer, program_offset, program_room, image_offset, image_room, result_end
        : fields of a STATUS
    filled, begin, read_offset, next, final, constant, read_constant, read_data, hold : see
        `ResultBuffer`
    o : bytes of bodies
    """

    def __init__(self, info_bytes: int):
        self.info_bytes = info_bytes
        super().__init__(
            {
                "answer": In(Answer),
                "answered": In(1),
                "forget": In(1),
                "busy": Out(1),
                "session": In(8),
                "state": In(8),
                "error": In(8),
                "layer": In(16),
                "program_offset": In(16),
                "program_room": In(16),
                "image_offset": In(16),
                "image_room": In(16),
                "result_end": In(16),
                "filled": In(1),
                "begin": Out(1),
                "read_offset": In(16),
                "next": Out(1),
                "final": In(1),
                "constant": Out(8),
                "read_constant": Out(1),
                "read_data": In(8),
                "hold": Out(1),
                "o": Out(stream.Signature(data.StructLayout({"data": 8, "last": 1}))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        waiting, kind = Signal(Answer), Signal(Answer)
        index = Signal(8)
        is_result, is_info = Signal(), Signal()
        m.d.comb += [
            is_result.eq(kind == Answer.RESULT),
            is_info.eq(kind == Answer.INFO),
            self.constant.eq(index),
            self.read_constant.eq(is_info),
        ]
        types = Array([FrameType.STATUS, FrameType.INFO, FrameType.RESULT_DATA])
        fields = Array(
            [
                Cat(types[kind], self.session),
                Mux(is_result, self.read_offset, Cat(self.state, self.error)),
                self.layer,
                self.program_offset,
                self.program_room,
                self.image_offset,
                self.image_room,
                self.result_end,
            ]
        )
        field, upper = Signal(16), Signal(8)
        from_memory, last = Signal(), Signal()
        m.d.comb += [
            field.eq(fields[index[1:4]]),
            from_memory.eq(
                (is_info & (index >= HEADER.size)) | (is_result & (index >= _RESULT_HEADER))
            ),
        ]
        with m.Switch(kind):
            with m.Case(Answer.STATUS):
                m.d.comb += last.eq(index == _STATUS_BYTES - 1)
            with m.Case(Answer.INFO):
                m.d.comb += last.eq(index == self.info_bytes - 1)
            with m.Default():
                m.d.comb += last.eq(
                    from_memory & (self.final | (index == _RESULT_HEADER + LONGEST_RESULT - 1))
                )
        with m.FSM() as fsm:
            m.d.comb += self.hold.eq(is_result & (index < _RESULT_HEADER) & ~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += index.eq(0)
                with m.If(self.busy):
                    m.d.comb += self.begin.eq(1)
                    m.d.sync += [self.busy.eq(0), kind.eq(waiting)]
                    with m.If((waiting == Answer.RESULT) & ~self.filled):
                        m.d.sync += kind.eq(Answer.STATUS)
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.next = "TAKE"
            with m.State("TAKE"):
                m.d.sync += [self.o.valid.eq(1), self.o.payload.last.eq(last)]
                with m.If(from_memory):
                    m.d.sync += self.o.payload.data.eq(self.read_data)
                with m.Elif(index[0]):
                    m.d.sync += self.o.payload.data.eq(upper)
                with m.Else():
                    m.d.sync += [self.o.payload.data.eq(field[:8]), upper.eq(field[8:])]
                m.next = "OFFER"
            with m.State("OFFER"), m.If(self.o.ready):
                m.d.comb += self.next.eq(from_memory)
                m.d.sync += [self.o.valid.eq(0), index.eq(index + 1)]
                m.next = "FETCH"
                with m.If(self.o.payload.last):
                    m.next = "IDLE"
        with m.If(self.forget):
            m.d.sync += self.busy.eq(0)
        with m.If(self.answered):
            m.d.sync += [self.busy.eq(1), waiting.eq(self.answer)]
        return m
