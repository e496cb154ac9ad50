"""When the words of a program are there for an engine."""

import math
from collections import deque

__all__ = ["PacedStream", "ProgramStream"]


class ProgramStream:
    """Words that are always there, and an image that is."""

    def take(self, time: int, words: int, cycles: int = 0) -> int:
        """Take words, from a time on and in so many cycles at least; when that is done."""
        return time + max(words, cycles)

    def image(self, wanted: int) -> int:
        """Cycle at whose end the last beat of the image is there that is wanted from a cycle on."""
        return wanted


class PacedStream(ProgramStream):
    """Words that come one after another into a queue, and wait there.

    Parameters
    ----------
    period : int
        Cycles from word to word.
    depth : int
        Words of the queue.
    restart : int
        Cycles from the last word before an interruption to the first one after it.
    image_cycles : int
        Cycles from the wish for an image to its last beat.
    shared : bool
        No words come while the image does.
    """

    def __init__(self, *, period: int, depth: int, restart: int, image_cycles: int, shared: bool):
        self._period, self._restart, self._image_cycles = period, restart, image_cycles
        self._shared = shared
        self._arrival: float = restart
        self._taken: deque[float] = deque(maxlen=depth)
        self._pause: tuple[int, int] | None = None

    def take(self, time: int, words: int, cycles: int = 0) -> int:
        """Take words, from a time on and in so many cycles at least; when that is done."""
        step = max(1.0, cycles / words) if words else 0.0
        now, end = float(time), time + max(words, cycles)
        for _ in range(words):
            arrival = self._arrival
            if len(self._taken) == self._taken.maxlen:
                arrival = max(arrival, self._taken[0])
            if self._pause is not None and arrival > self._pause[0]:
                arrival = max(arrival, self._pause[1])
                self._pause = None
            self._arrival = arrival + self._period
            now = max(now, arrival)
            self._taken.append(now)
            now += step
        return max(end, math.ceil(now))

    def image(self, wanted: int) -> int:
        """Cycle at whose end the last beat of the image is there that is wanted from a cycle on."""
        end = wanted + self._image_cycles
        if self._shared:
            self._pause = wanted, end + self._restart
        return end

    def next_program(self, end: int) -> None:
        """Go on with the next program; the one before ended in a cycle, which becomes cycle 0."""
        self._arrival += self._restart - self._period - end
        self._taken = deque((time - end for time in self._taken), self._taken.maxlen)
        self._pause = None
