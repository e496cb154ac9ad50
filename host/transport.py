"""The line to a board: a serial port, or anything else that carries bytes both ways."""

import contextlib
import errno
import time
from typing import Protocol

import serial

from hiddenite.golden.errors import InputError
from hiddenite.link.protocol import DEFAULT_BAUD

__all__ = ["SerialPort", "Transport", "TransportError"]

_READ_SIZE = 4096
_WRITE_TIMEOUT = 5.0

_REASONS = {
    errno.ENOENT: "there is no such port",
    errno.EACCES: "no permission to open it: on Linux, add yourself to the group of the port"
    " (`ls -l` names it, often dialout)",
    errno.EBUSY: "another program uses it",
    errno.EAGAIN: "another program uses it",
    errno.ENOTTY: "is no serial port",
    errno.EISDIR: "is no serial port",
}
# Where pyserial gives no number: on a port that is locked, and on Windows.
_PARTS = {
    "exclusively lock": errno.EBUSY,
    "PermissionError": errno.EBUSY,
    "FileNotFoundError": errno.ENOENT,
}


class TransportError(Exception):
    """The line to the board is gone; the message says what happened, not where."""


class Transport(Protocol):
    """What a connection needs of a line.

    Attributes
    ----------
    name : str
        What error messages call it.
    baud : int
        Bits a second, of which a byte takes ten; time limits are derived from it.
    """

    name: str
    baud: int

    def write(self, data: bytes) -> None:
        """Send bytes; may return before they are on the line."""

    def read(self, timeout: float) -> bytes:
        """Return what has come; waits up to `timeout` seconds for the first byte."""

    def clock(self) -> float:
        """Return seconds since some moment."""

    def close(self) -> None:
        """Free the line."""


class SerialPort:
    """A serial port: 8 data bits, no parity, one stop bit, no flow control.

    Parameters
    ----------
    name : str
        As the operating system calls it: /dev/ttyUSB0, COM3.
    baud : int
        Bits a second.

    Raises
    ------
    InputError
        The port cannot be opened, or not at this rate.
    """

    def __init__(self, name: str, baud: int = DEFAULT_BAUD) -> None:
        self.name = name
        self.baud = baud
        if baud < 1:
            raise InputError(f"{name}: baud must be at least 1, not {baud}")
        try:
            self._port = serial.Serial(
                name, baud, timeout=0, write_timeout=_WRITE_TIMEOUT, exclusive=True
            )
        except (OSError, ValueError, OverflowError) as error:
            raise InputError(f"{name}: {_reason(error)}") from None
        self._timeout = 0.0
        # USB adapters otherwise keep what they receive for up to 16 ms.
        with contextlib.suppress(OSError, ValueError, NotImplementedError, AttributeError):
            self._port.set_low_latency_mode(True)

    def write(self, data: bytes) -> None:
        """Send bytes; returns when the operating system has them."""
        try:
            self._port.write(data)
        except serial.SerialTimeoutException:
            raise TransportError(f"took no bytes for {_WRITE_TIMEOUT:g} s") from None
        except OSError as error:
            raise TransportError(f"cannot be written to: {_said(error)}") from None

    def read(self, timeout: float) -> bytes:
        """Return what has come; waits up to `timeout` seconds for the first byte."""
        try:
            if timeout != self._timeout:
                self._port.timeout = self._timeout = timeout
            first = self._port.read(1)
            if not first:
                return b""
            return first + self._port.read(min(self._port.in_waiting, _READ_SIZE))
        except (OSError, TypeError) as error:
            # pyserial knows a port that has gone by odd exceptions.
            raise TransportError(f"cannot be read from: {_said(error)}") from None

    def clock(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic()

    def close(self) -> None:
        """Free the port."""
        self._port.close()


def _reason(error: Exception) -> str:
    """Why a port could not be opened."""
    cause: BaseException | None = error
    while cause is not None:
        # termios has its number elsewhere than other errors of the system.
        for number in (getattr(cause, "errno", None), *cause.args[:1]):
            if number in _REASONS:
                return _REASONS[number]
        cause = cause.__context__
    text = _said(error)
    for part, number in _PARTS.items():
        if part in text:
            return _REASONS[number]
    return f"cannot be opened: {text}"


def _said(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())
