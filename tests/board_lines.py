"""Lines to boards, which can be made bad, and what else may be at the other end.

`ModelLine` is a transport with a clock of its own, on which bytes take the time that they take at a
baud rate; seconds of silence cost no time. `PtyBoard` puts a `board_model.BoardModel` behind a
pseudo-terminal, in real time.
"""

import heapq
import os
import pty
import random
import select
import threading
import time
import tty
from dataclasses import dataclass


class Nonsense:
    """Something at the other end that answers whatever it is sent with random bytes."""

    def __init__(self, seed=1):
        self.random = random.Random(seed)

    def feed(self, data, now):
        return self.random.randbytes(len(data))

    def advance(self, now):
        pass


class Silence:
    """Nobody at the other end."""

    def feed(self, data, now):
        return b""

    def advance(self, now):
        pass


@dataclass
class Faults:
    """Damage to bytes on their way, of a probability each; nothing after a number of bytes."""

    seed: int = 0
    drop: float = 0.0
    insert: float = 0.0
    flip: float = 0.0
    silent_after: int | None = None

    def __post_init__(self):
        self.random = random.Random(self.seed)
        self.count = 0

    def pass_on(self, data):
        if self.silent_after is not None:
            data = data[: max(0, self.silent_after - self.count)]
        self.count += len(data)
        if not (self.drop or self.insert or self.flip):
            return data
        out = bytearray()
        for byte in data:
            if self.random.random() < self.insert:
                out.append(self.random.choice([0x7E, 0x7D, self.random.randrange(256)]))
            if self.random.random() < self.drop:
                continue
            flip = self.random.random() < self.flip
            out.append(byte ^ (1 << self.random.randrange(8) if flip else 0))
        return bytes(out)


class ModelLine:
    """Transport to a model, with a clock of its own.

    Parameters
    ----------
    board : BoardModel, Nonsense or Silence
    baud : int
    delay : float
        Seconds that bytes take besides, each way.
    to_board, to_host : Faults
    """

    name = "/dev/model"

    def __init__(self, board, *, baud=1_000_000, delay=0.0005, to_board=None, to_host=None):
        self.board, self.baud, self.delay = board, baud, delay
        self.to_board, self.to_host = to_board or Faults(), to_host or Faults()
        self.now = 0.0
        self.closed = False
        self._free = [0.0, 0.0]
        self._events = []
        self._count = 0
        self._received = bytearray()

    def clock(self):
        return self.now

    def close(self):
        self.closed = True

    def write(self, data):
        assert not self.closed
        self._put(0, self.to_board.pass_on(data), self.now)

    def _put(self, way, data, now):
        """Bytes begin their way; they arrive in groups as a UART's receiver hands them on."""
        for start in range(0, len(data), 16):
            part = data[start : start + 16]
            self._free[way] = max(self._free[way], now) + len(part) * 10 / self.baud
            self._count += 1
            heapq.heappush(self._events, (self._free[way] + self.delay, self._count, way, part))

    def read(self, timeout):
        assert not self.closed
        end = self.now + timeout
        while not self._received and self._events and self._events[0][0] <= end:
            at, _, way, data = heapq.heappop(self._events)
            self.now = max(self.now, at)
            if way == 0:
                answer = self.to_host.pass_on(self.board.feed(data, self.now))
                self._put(1, answer, self.now)
            else:
                self._received += data
        if not self._received:
            self.now = max(self.now, end) + 1e-9
        data = bytes(self._received)
        self._received.clear()
        return data


class PtyBoard:
    """A model behind a pseudo-terminal; `port` is its name. To be used in a ``with``."""

    def __init__(self, board, to_board=None, to_host=None):
        self.board = board
        self.to_board, self.to_host = to_board or Faults(), to_host or Faults()
        self._stop = threading.Event()
        self.failure = None

    def __enter__(self):
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def _serve(self):
        try:
            while not self._stop.is_set():
                ready, _, _ = select.select([self._master], [], [], 0.002)
                now = time.monotonic()
                self.board.advance(now)
                if not ready:
                    continue
                data = self.to_board.pass_on(os.read(self._master, 4096))
                answer = self.to_host.pass_on(self.board.feed(data, now))
                while answer and not self._stop.is_set():
                    answer = answer[os.write(self._master, answer) :]
        except Exception as error:
            self.failure = error

    def __exit__(self, *exception):
        self._stop.set()
        self._thread.join()
        os.close(self._slave)
        os.close(self._master)
        if self.failure is not None:
            raise self.failure
