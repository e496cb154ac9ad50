"""How long an image takes on a whole board, before anything is built or simulated.

The engine's own time is that of `hiddenite.compiler.estimate`. A board gives it program and image
at the pace of its flash, its block RAM or its UART; what these take is said by the blocks
themselves.
"""

from dataclasses import dataclass

import numpy as np

from hiddenite.compiler.estimate import estimate
from hiddenite.compiler.program import Program
from hiddenite.compiler.program_stream import PacedStream
from hiddenite.golden.errors import InputError
from hiddenite.link.board_link import LinkParameters
from hiddenite.link.byte_queue import QUEUE_BYTES
from hiddenite.link.firmware_memory import IMAGE_BUFFER, PROGRAM_BUFFER
from hiddenite.link.flash_firmware import image_cycles, seek_cycles
from hiddenite.link.flash_reader import byte_cycles
from hiddenite.link.protocol import (
    HEADER,
    LONGEST_RESULT,
    OFFSET,
    PIECE_SHARE,
    FrameType,
    encode,
)
from hiddenite.link.rom import ROM_BYTE_CYCLES
from hiddenite.link.uart import BYTE_BITS, baud_divisor
from hiddenite.link.words import VALUE_BYTES

__all__ = ["SOURCES", "BoardEstimate", "default_source", "estimate_board"]

SOURCES = ("flash", "uart", "baked")
"""From where program and image come: both from the flash; both from a host; the program from block
RAM and the image from the flash."""
_SETTLED = 3
"""Images after which the time from image to image does not change any more."""


@dataclass(frozen=True, kw_only=True)
class BoardEstimate:
    """Time of an image.

    Attributes
    ----------
    cycles : int
        From image to image, on the board.
    engine_cycles : int
        If program and image were always there.
    bound : str
        What the image waits for most: engine, flash or UART.
    clock_hz : int
    """

    cycles: int
    engine_cycles: int
    bound: str
    clock_hz: int

    @property
    def images_per_second(self) -> float:
        return self.clock_hz / self.cycles


def default_source(parameters: LinkParameters) -> str:
    """The flash where the board runs alone, or else a host."""
    alone = parameters.flash_base is not None and parameters.configuration.post_lanes == 1
    return "flash" if alone else "uart"


def estimate_board(program: Program, parameters: LinkParameters, source: str) -> BoardEstimate:
    """Time from image to image on a board.

    Parameters
    ----------
    program : Program
        For the configuration of the board.
    parameters : LinkParameters
        The board's link.
    source : str
        One of `SOURCES`. A host answers at once.

    Raises
    ------
    InputError
        The board does not run alone: it has no flash, or more than one of ``post_lanes``.
    """
    if source != "uart":
        lanes = parameters.configuration.post_lanes
        if parameters.flash_base is None:
            raise InputError(f"source: {source} needs a flash, which the board does not have")
        if lanes != 1:
            raise InputError(
                f"source: {source} needs a configuration with post_lanes 1, not {lanes}"
            )
    engine = estimate(program).cycles
    if source == "uart":
        line = _uart_cycles(program, parameters)
        return _found(max(line, engine), engine, line, "UART", parameters)
    clock, lines = parameters.clock_hz, parameters.flash_lines
    word = parameters.configuration.program_bits // 8
    image = image_cycles(clock, lines, _image(program).nbytes)
    if source == "baked":
        reading = image
        stream = PacedStream(
            period=word * ROM_BYTE_CYCLES, depth=1, restart=0, image_cycles=image, shared=False
        )
    else:
        restart, each = seek_cycles(clock, lines), byte_cycles(clock, lines)
        reading = len(program.bytes) * each + image + 2 * restart
        stream = PacedStream(
            period=word * each,
            depth=QUEUE_BYTES // word,
            restart=restart,
            image_cycles=image,
            shared=True,
        )
    for _ in range(_SETTLED):
        cycles = estimate(program, stream).cycles
        stream.next_program(cycles)
    return _found(cycles, engine, reading, "flash", parameters)


def _found(cycles: int, engine: int, source: int, name: str, p: LinkParameters) -> BoardEstimate:
    return BoardEstimate(
        cycles=cycles,
        engine_cycles=engine,
        bound=name if source > engine else "engine",
        clock_hz=p.clock_hz,
    )


def _image(program: Program) -> np.ndarray:
    """An image's beats."""
    return program.image_beats(np.zeros(program.input_shape, np.uint8))


def _uart_cycles(program: Program, parameters: LinkParameters) -> int:
    """Cycles of the frames that a host sends for an image, and of the result's."""
    sent = 0
    for data, buffer in (
        (program.bytes, PROGRAM_BUFFER),
        (_image(program).tobytes(), IMAGE_BUFFER),
    ):
        size = buffer // PIECE_SHARE
        for begin in range(0, len(data), size):
            sent += _frame_bytes(FrameType.PROGRAM, data[begin : begin + size])
    result = program.result_order().size * VALUE_BYTES
    for begin in range(0, result, LONGEST_RESULT):
        sent += _frame_bytes(FrameType.RESULT, b"")
        sent += _frame_bytes(FrameType.RESULT_DATA, bytes(min(LONGEST_RESULT, result - begin)))
    return sent * BYTE_BITS * baud_divisor(parameters.clock_hz, parameters.baud)


def _frame_bytes(kind: FrameType, data: bytes) -> int:
    return len(encode(HEADER.pack(kind, 1) + OFFSET.pack(0) + data))
