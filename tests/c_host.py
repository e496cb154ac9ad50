"""The C host (hiddenite.h) as Python calls it."""

import ctypes
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    byref,
    c_char_p,
    c_int,
    c_size_t,
    c_uint8,
    c_uint16,
    c_uint32,
    c_void_p,
)  # fmt: skip

import numpy as np

_STATE_BYTES = 4096

WRITE = CFUNCTYPE(c_int, c_void_p, POINTER(c_uint8), c_size_t)
READ = CFUNCTYPE(c_int, c_void_p, POINTER(c_uint8), c_size_t, c_uint32)
CLOCK = CFUNCTYPE(c_uint32, c_void_p)
PROGRAM_READ = CFUNCTYPE(c_int, c_void_p, c_uint32, POINTER(c_uint8), c_size_t)


class Port(Structure):
    _fields_ = [
        ("context", c_void_p), ("write", WRITE), ("read", READ), ("clock_ms", CLOCK),
        ("baud", c_uint32),
    ]  # fmt: skip


class Program(Structure):
    _fields_ = [
        ("data", c_char_p), ("size", c_uint32), ("read", PROGRAM_READ), ("context", c_void_p)
    ]  # fmt: skip


class Image(Structure):
    _fields_ = [("data", c_char_p), ("pixels", c_uint32), ("channels", c_uint32)]


class Info(Structure):
    _fields_ = [
        ("fingerprint", c_uint32), ("program_buffer", c_uint16), ("image_buffer", c_uint16),
        ("program_bytes", c_uint8), ("post_lanes", c_uint8), ("sources", c_uint8),
        ("clock_hz", c_uint32), ("name", ctypes.c_char * 33),
    ]  # fmt: skip


class Head(Structure):
    """The members that a user may read."""

    _fields_ = [
        ("limit_ms", c_uint32), ("margin_ms", c_uint32), ("info", Info),
        ("engine_error", c_uint8), ("engine_layer", c_uint16), ("bytes_resent", c_uint32),
        ("sessions", c_uint32),
    ]  # fmt: skip


class Shape(Structure):
    _fields_ = [
        (name, c_uint16)
        for name in (
            "height", "width", "channels", "tile_channels", "tile_rows", "tile_columns", "lanes",
            "images",
        )
    ]  # fmt: skip


def load(path):
    """Load the library."""
    made = ctypes.CDLL(str(path))
    made.hiddenite_error_text.restype = c_char_p
    made.hiddenite_engine_error_name.restype = c_char_p
    made.hiddenite_result_count.restype = c_uint32
    return made


class Host:
    """The C host on a line in memory. Its clock wraps soon."""

    def __init__(self, library, errors, line, seed=1):
        self.library, self.errors, self.line = library, errors, line
        self.waiting = b""
        self.fail = False
        self.board = (c_uint8 * _STATE_BYTES)()
        self.head = ctypes.cast(self.board, POINTER(Head)).contents
        self.port = Port(None, WRITE(self._write), READ(self._read), CLOCK(self._clock), line.baud)
        library.hiddenite_init(self.board, byref(self.port), c_uint32(seed))

    def _write(self, _, data, length):
        self.line.write(ctypes.string_at(data, length))
        return -1 if self.fail else 0

    def _read(self, _, data, length, timeout):
        if not self.waiting:
            self.waiting = self.line.read(timeout / 1000 + 1e-6)
        part, self.waiting = self.waiting[:length], self.waiting[length:]
        ctypes.memmove(data, part, len(part))
        return len(part)

    def _clock(self, _):
        return (int(self.line.clock() * 1000) - 200) & 0xFFFFFFFF

    def hello(self):
        return self.errors[self.library.hiddenite_hello(self.board)]

    def run(self, image, program, count=None):
        """Run: (name of the error, values)."""
        height, width, channels = image.shape
        if not isinstance(program, Program):
            program = Program(program, len(program or b""), PROGRAM_READ(), None)
        count = self.count if count is None else count
        values = np.zeros(count, np.int32)
        status = self.library.hiddenite_run(
            self.board,
            byref(program),
            byref(Image(image.tobytes(), height * width, channels)),
            values.ctypes.data_as(c_void_p),
            c_uint32(count),
        )
        return self.errors[status], values
