"""Runs and their outcomes, and the files in which the harness reads and writes them."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

_MASK64 = (1 << 64) - 1
# The harness moves in its files with signed 32-bit offsets.
_FILE_LIMIT = (1 << 31) - 1


@dataclass(frozen=True)
class Stalls:
    """How often each stream pauses.

    Parameters
    ----------
    program, image : float
        Probability, from 0 to below 1 in steps of 1/256, that a stream that could offer its next
        word in a cycle does not. The first program word is always offered at once.
    result : float
        Probability that the result stream is not ready in a cycle.
    seed : int
        Selects the pattern; the same in both simulators.
    """

    program: float = 0.0
    image: float = 0.0
    result: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("program", "image", "result"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ValueError(f"stall probability of {name} must be in 0 to <1, not {value!r}")

    def ports(self) -> dict[str, int]:
        """Return the harness's stall ports and their values."""
        # An odd factor spreads neighbouring seeds; the generator must not begin at zero.
        seed = ((self.seed + 1) * 0x9E3779B97F4A7C15) & _MASK64 or 1
        stalls = {f"{n}_stall": int(getattr(self, n) * 256) for n in ("program", "image", "result")}
        return {**stalls, "seed": seed}


@dataclass(frozen=True, eq=False)
class Run:
    """One pass of a program over one image.

    Parameters
    ----------
    program : ndarray of uint64, shape (words,)
        Program words, at least one.
    image : ndarray of uint8, shape (beats, lanes)
        Beats of the image stream.
    program_last, image_last : bool
        Whether the final word or beat carries `last`.
    stalls : Stalls
        Pauses of the streams.
    reset_before : bool
        Whether the engine is reset before the run. The first run of a simulation always is.
    reset_after : int or None
        Cycle in which a reset ends the run, if it has not ended by then.
    limit : int
        Cycle in which the run ends as timed out.
    """

    program: np.ndarray
    image: np.ndarray
    program_last: bool = True
    image_last: bool = True
    stalls: Stalls = field(default_factory=Stalls)
    reset_before: bool = False
    reset_after: int | None = None
    limit: int = 10_000_000

    def __post_init__(self) -> None:
        if self.program.ndim != 1 or not len(self.program):
            raise ValueError(
                f"program must be a row of at least one word, not of shape {self.program.shape}"
            )
        if self.program.dtype != np.uint64:
            raise ValueError(f"program must be of type uint64, not {self.program.dtype}")
        if self.image.ndim != 2:
            raise ValueError(f"image must have shape (beats, lanes), not {self.image.shape}")
        if self.image.dtype != np.uint8:
            raise ValueError(f"image must be of type uint8, not {self.image.dtype}")
        for name, value in (("limit", self.limit), ("reset_after", self.reset_after or 0)):
            if not 0 <= value < 1 << 32:
                raise ValueError(f"{name} must be in 0 to 2**32 - 1 cycles, not {value!r}")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a run. Cycle 0 is the one in which the first program word is offered.

    Parameters
    ----------
    results : ndarray of int32, shape (beats, lanes)
        Beats of the result stream.
    last : bool
        Whether the final beat, and no other, carried `last`.
    cycles : int
        Cycle in which the engine was idle again or in error, or was stopped.
    state, error, layer : int
        The status in that cycle.
    layer_cycles : list of (int, int)
        Number of each layer and the cycle in which it began.
    program_words, image_beats : int
        How many words and beats the engine took.
    timed_out : bool
        Whether the cycle limit ended the run.
    was_reset : bool
        Whether the reset asked for ended the run.
    result_cycles : ndarray of int64, shape (beats,)
        Cycle in which each result beat was taken.
    """

    results: np.ndarray
    last: bool
    cycles: int
    state: int
    error: int
    layer: int
    layer_cycles: list[tuple[int, int]]
    program_words: int
    image_beats: int
    timed_out: bool
    was_reset: bool
    result_cycles: np.ndarray


class InputFile:
    """A file of stream words, each preceded by a byte whose lowest bit is its `last`.

    Parameters
    ----------
    path : Path
        File to write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offsets: dict[tuple[int, bool], int] = {}
        self._size = 0
        path.touch()

    def add(self, words: np.ndarray, owner: np.ndarray, last: bool) -> int:
        """Append words, unless those of the same owner are in the file already.

        Parameters
        ----------
        words : ndarray of uint8, shape (words, bytes)
            Words, most significant byte first.
        owner : ndarray
            The array they come from; it must stay alive. A program of many runs is stored once.
        last : bool
            Whether the final word carries `last`.

        Returns
        -------
        int
            Offset of the first word in the file.

        Raises
        ------
        ValueError
            If the file would be larger than the harness can read.
        """
        key = (id(owner), last)
        if key in self._offsets:
            return self._offsets[key]
        records = np.zeros((words.shape[0], words.shape[1] + 1), np.uint8)
        records[:, 1:] = words
        if last and len(records):
            records[-1, 0] = 1
        offset = self._offsets[key] = self._size
        self._size += records.size
        if self._size > _FILE_LIMIT:
            raise ValueError("the runs of one simulation hold more than 2 GiB of stream data")
        with self._path.open("ab") as file:
            file.write(records.tobytes())
        return offset


def program_bytes(program: np.ndarray, word_bits: int) -> np.ndarray:
    """Return program words as rows of bytes, most significant first.

    Raises
    ------
    ValueError
        If a word has more than `word_bits` bits.
    """
    rows = program.astype(">u8").view(np.uint8).reshape(len(program), 8)
    if rows[:, : 8 - word_bits // 8].any():
        raise ValueError(f"a program word has more than {word_bits} bits")
    return rows[:, 8 - word_bits // 8 :]


class OutcomeReader:
    """Takes in the harness's events as they are written.

    Parameters
    ----------
    path : Path
        The file of events.
    lanes : int
        Lanes of the result stream.
    """

    def __init__(self, path: Path, lanes: int) -> None:
        self._path = path
        self._lanes = lanes
        self._position = 0
        self._pending = b""
        self._results: list[tuple[int, bool, str]] = []
        self._layers: list[tuple[int, int]] = []
        self.outcomes: list[Outcome] = []

    def read(self) -> int:
        """Take in what is new and return how many runs have ended.

        Raises
        ------
        RuntimeError
            If a value in the file is unknown ("x"), as a simulator with four states may have it.
        """
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._position)
                new = file.read()
            self._position += len(new)
            *lines, self._pending = (self._pending + new).split(b"\n")
            for line in lines:
                self._take(line.decode())
        return len(self.outcomes)

    def _take(self, line: str) -> None:
        kind, *values = line.split()
        if set("xXzZ") & set(line):
            raise RuntimeError(
                f"run {len(self.outcomes)}: the design puts out unknown bits: {line}"
            )
        if kind == "r":
            self._results.append((int(values[0]), values[1] == "1", values[2]))
        elif kind == "l":
            self._layers.append((int(values[1]), int(values[0])))
        else:
            self._end([int(value) for value in values])

    def _end(self, values: list[int]) -> None:
        cycles, state, error, layer, words, beats, timed_out, was_reset = values
        digits = "".join(result[2] for result in self._results)
        big_endian = np.frombuffer(bytes.fromhex(digits), ">i4").reshape(-1, self._lanes)
        lasts = [result[1] for result in self._results]
        outcome = Outcome(
            results=big_endian[:, ::-1].astype(np.int32),
            last=sum(lasts) == 1 and lasts[-1],
            cycles=cycles,
            state=state,
            error=error,
            layer=layer,
            layer_cycles=self._layers,
            program_words=words,
            image_beats=beats,
            timed_out=bool(timed_out),
            was_reset=bool(was_reset),
            result_cycles=np.array([result[0] for result in self._results], np.int64),
        )
        self.outcomes.append(outcome)
        self._results, self._layers = [], []
