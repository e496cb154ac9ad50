import contextlib
import os
import pty
import threading
import time
import tty

import pytest
import serial

from hiddenite.golden.errors import InputError
from hiddenite.host.transport import SerialPort, TransportError


@pytest.fixture
def terminal():
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    for descriptor in (slave, master):
        # The test may have closed it.
        with contextlib.suppress(OSError):
            os.close(descriptor)


def test_bytes_both_ways(terminal):
    master, name = terminal
    port = SerialPort(name, 115_200)
    assert (port.name, port.baud) == (name, 115_200)
    every = bytes(range(256))
    port.write(every)
    assert os.read(master, 1000) == every
    os.write(master, every)
    assert port.read(1.0) == every
    port.close()


def test_reading_waits_no_longer_than_it_must(terminal):
    master, name = terminal
    port = SerialPort(name)
    begin = port.clock()
    assert port.read(0.1) == b"" and 0.09 < port.clock() - begin < 1
    assert port.read(0) == b""
    late = threading.Thread(target=lambda: (time.sleep(0.1), os.write(master, b"x")))
    late.start()
    begin = port.clock()
    assert port.read(30) == b"x" and port.clock() - begin < 10
    late.join()
    port.close()


def test_a_line_that_goes_away(terminal):
    master, name = terminal
    port = SerialPort(name)
    os.close(master)
    with pytest.raises(TransportError, match="cannot be read from: "):
        port.read(1)
    with pytest.raises(TransportError, match="cannot be written to: "):
        port.write(b"x")
    port.close()


def test_a_line_that_takes_nothing(terminal, monkeypatch):
    monkeypatch.setattr("hiddenite.host.transport._WRITE_TIMEOUT", 0.2)
    port = SerialPort(terminal[1])
    with pytest.raises(TransportError, match=r"took no bytes for 0\.2 s"):
        port.write(bytes(1 << 20))
    port.close()


def test_refused_ports(terminal, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    for name, message in [
        (str(tmp_path / "none"), "there is no such port"),
        (str(file), "is no serial port"),
        (str(tmp_path), "is no serial port"),
    ]:
        with pytest.raises(InputError) as caught:
            SerialPort(name)
        assert str(caught.value) == f"{name}: {message}"
    with pytest.raises(InputError, match="baud must be at least 1, not 0"):
        SerialPort(terminal[1], 0)
    port = SerialPort(terminal[1])
    with pytest.raises(InputError, match=f"^{terminal[1]}: another program uses it$"):
        SerialPort(terminal[1])
    port.close()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            serial.SerialException(13, "Permission denied"),
            "no permission to open it: on Linux, add yourself to the group of the port (`ls -l`"
            " names it, often dialout)",
        ),
        (
            # As on Windows.
            serial.SerialException("could not open port 'COM9': FileNotFoundError(2, 'The')"),
            "there is no such port",
        ),
        (
            serial.SerialException("could not open port 'COM3': PermissionError(13, 'Access')"),
            "another program uses it",
        ),
        (ValueError("Invalid baud rate: 7"), "cannot be opened: Invalid baud rate: 7"),
        (OSError(5, "Input/output error"), "cannot be opened: Input/output error"),
    ],
)
def test_what_systems_say(monkeypatch, error, message):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("serial.Serial", fail)
    with pytest.raises(InputError) as caught:
        SerialPort("COM9")
    assert str(caught.value) == f"COM9: {message}"
