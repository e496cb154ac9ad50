"""Between the frames of a UART and the streams of an engine.

::

    rx ─► frame receiver ─► request reader ─┬─► program buffer ─► words ─► program
                                  │         └─► image buffer ───► words ─► image
                                  ▼
    tx ◄── frame sender ◄── answer writer ◄───── result buffer ◄─ bytes ◄─ result
"""

from amaranth.hdl import Module, Mux, ResetInserter
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .answers import AnswerWriter
from .frame_receiver import FrameReceiver
from .frame_sender import FrameSender
from .protocol import HEADER, INFO, VERSION, BoardState, FrameType, Sources
from .requests import RequestReader
from .result_buffer import ResultBuffer
from .stream_buffer import BYTE_STREAM, StreamBuffer

__all__ = ["Bridge"]


class Bridge(wiring.Component):
    """Sessions: bytes of programs and images from a host, bytes of results to it.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit.
    buffer_bytes : int
        Size of the program buffer, and of the image buffer.
    sources : Sources
        What the board has in its own memory.
    fingerprint, program_bytes, post_lanes, clock_hz, name
        What an INFO says.

    Members
    -------
    rx, tx : pins
    program, image : bytes for the engine, from the host
    result : bytes from the engine
    state, error, layer : what a STATUS says of the engine and of the board's memory
    program_own, image_own : the session takes these from the board's own memory
    no_source : it asks for what the board does not have
    opened : a session begins (for one cycle)
    """

    def __init__(
        self,
        *,
        divisor: int,
        buffer_bytes: int,
        sources: Sources,
        fingerprint: int,
        program_bytes: int,
        post_lanes: int,
        clock_hz: int,
        name: str,
    ):
        self.divisor, self.buffer_bytes, self.sources = divisor, buffer_bytes, sources
        # One byte of a buffer is never in use.
        room = buffer_bytes - 1
        self.info = HEADER.pack(FrameType.INFO, 0) + INFO.pack(
            VERSION, fingerprint, room, room, program_bytes, post_lanes, sources, clock_hz
        )
        self.info += name.encode("ascii")
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "program": Out(BYTE_STREAM),
                "image": Out(BYTE_STREAM),
                "result": In(stream.Signature(8)),
                "state": In(2),
                "error": In(4),
                "layer": In(16),
                "memory_error": In(1),
                "program_own": Out(1),
                "image_own": Out(1),
                "no_source": Out(1),
                "opened": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        receiver = FrameReceiver(self.divisor)
        sender = FrameSender(self.divisor)
        requests = RequestReader()
        answers = AnswerWriter(len(self.info))
        program, image = StreamBuffer(self.buffer_bytes), StreamBuffer(self.buffer_bytes)
        results = ResultBuffer(self.info)
        emptied = ResetInserter(self.opened)
        m.submodules.receiver, m.submodules.sender = receiver, sender
        m.submodules.requests, m.submodules.answers = requests, answers
        m.submodules.program = emptied(program)
        m.submodules.image = emptied(image)
        m.submodules.results = emptied(results)

        connect(m, answers.o, sender.i)
        connect(m, program.o, flipped(self.program))
        connect(m, image.o, flipped(self.image))
        connect(m, flipped(self.result), results.i)
        for buffer, name in ((program, "program"), (image, "image")):
            m.d.comb += [
                buffer.data.eq(receiver.data),
                buffer.write.eq(getattr(requests, f"{name}_write")),
                buffer.commit.eq(getattr(requests, f"{name}_commit")),
                buffer.length.eq(requests.length),
                buffer.last.eq(requests.last),
                buffer.begin.eq(requests.begin),
                getattr(requests, f"{name}_offset").eq(buffer.offset),
                getattr(answers, f"{name}_offset").eq(buffer.offset),
                getattr(answers, f"{name}_room").eq(buffer.room),
                getattr(self, f"{name}_own").eq(getattr(requests, f"{name}_own")),
            ]
        missing = [
            own
            for own, source in (
                (requests.program_own, Sources.PROGRAM),
                (requests.image_own, Sources.IMAGE),
            )
            if not self.sources & source
        ]
        no_source = requests.unknown_sources
        for own in missing:
            no_source = no_source | own
        state = Mux(self.memory_error, BoardState.MEMORY, self.state)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(sender.tx),
            self.opened.eq(requests.opened),
            self.no_source.eq(no_source),
            requests.data.eq(receiver.data),
            requests.valid.eq(receiver.valid),
            requests.end.eq(receiver.end),
            requests.right.eq(receiver.right),
            requests.busy.eq(answers.busy),
            requests.result_known.eq(results.known),
            results.data.eq(receiver.data),
            results.compare_low.eq(requests.offset_low),
            results.compare_high.eq(requests.offset_high),
            results.release.eq(requests.release),
            results.hold.eq(requests.hold | answers.hold),
            results.begin.eq(answers.begin),
            results.next.eq(answers.next),
            results.constant.eq(answers.constant),
            results.read_constant.eq(answers.read_constant),
            answers.answer.eq(requests.answer),
            answers.answered.eq(requests.answered),
            answers.forget.eq(requests.opened),
            answers.session.eq(requests.session),
            answers.state.eq(Mux(no_source, BoardState.NO_SOURCE, state)),
            answers.error.eq(self.error),
            answers.layer.eq(self.layer),
            answers.result_end.eq(results.end),
            answers.filled.eq(results.filled),
            answers.read_offset.eq(results.read_offset),
            answers.final.eq(results.final),
            answers.read_data.eq(results.read_data),
        ]
        return m
