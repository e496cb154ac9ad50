"""Runs a design in an open simulator: programs and images in, results and cycle counts out."""

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hiddenite.golden.errors import InputError
from hiddenite.sim.between import (
    JOB_VARIABLE,
    RUNS_TESTBENCH,
    SECONDS_FILE,
    STOP_VARIABLE,
)
from hiddenite.sim.build import build
from hiddenite.sim.launchers import failure, launch
from hiddenite.sim.records import InputFile, Outcome, OutcomeReader, Run, Stalls, program_bytes

__all__ = ["Outcome", "Run", "Simulation", "Stalls", "Statistics"]


@dataclass(frozen=True)
class Statistics:
    """How fast a simulation was.

    Parameters
    ----------
    cycles : int
        Clock cycles of all runs together.
    seconds : float
        Time they took, without the start of the simulator.
    total_seconds : float
        Time from start to end of the simulator.
    """

    cycles: int
    seconds: float
    total_seconds: float

    @property
    def cycles_per_second(self) -> float:
        """Simulated clock cycles per second."""
        return self.cycles / self.seconds if self.seconds else 0.0


class Simulation:
    """A design ready to be simulated; builds the simulator, or takes it from the cache.

    Parameters
    ----------
    verilog : str
        Verilog text with the top module `hiddenite`.
    word_bits : int
        Bits of a program word: 8, 16, 32 or 64.
    lanes : int
        Lanes of the image and result streams: a power of two from 1 to 32.
    simulator : str
        "verilator" or "icarus".
    waves : Path or None
        File for the waveforms of each simulation, in FST or VCD as its name ends; an earlier one
        is overwritten. Where a simulation fails, they go up to there.
    public : bool
        Whether cocotb sees all signals of the design, at several times the cost.

    Raises
    ------
    InputError
        If a program is missing.
    ValueError
        If an argument is none of those allowed.
    RuntimeError
        If the design does not compile.
    """

    def __init__(
        self,
        verilog: str,
        *,
        word_bits: int,
        lanes: int,
        simulator: str = "verilator",
        waves: Path | None = None,
        public: bool = False,
    ) -> None:
        self._waves = Path(waves).absolute() if waves is not None else None
        if self._waves and self._waves.suffix not in (".fst", ".vcd"):
            raise ValueError(f"a file of waveforms ends in .fst or .vcd, not {self._waves.name!r}")
        self._build = build(
            verilog,
            simulator=simulator,
            word_bits=word_bits,
            lanes=lanes,
            waves=self._waves.suffix[1:] if self._waves else None,
            public=public,
        )
        self._statistics: Statistics | None = None

    @property
    def statistics(self) -> Statistics:
        """Of the latest simulation; there must have been one."""
        assert self._statistics is not None, "nothing has been simulated yet"
        return self._statistics

    def run(
        self, runs: Sequence[Run], progress: Callable[[int], None] | None = None
    ) -> list[Outcome]:
        """Simulate runs one after another in one process.

        Between runs the engine keeps its state, unless a run asks for a reset: after an error or a
        run that was stopped by its limit, ask for one.

        Parameters
        ----------
        runs : sequence of Run
            At least one run.
        progress : callable, optional
            Called with the number of runs done, each time it has grown.

        Returns
        -------
        list of Outcome
            One for each run.

        Raises
        ------
        InputError
            If the file of the waveforms cannot be written.
        ValueError
            If a run does not fit the design's word or lanes.
        RuntimeError
            If the simulator fails; the message ends with the last lines of its log.
        """
        if not runs:
            raise ValueError("there must be at least one run")
        with tempfile.TemporaryDirectory(prefix="hiddenite-") as temporary:
            directory = Path(temporary)
            job = directory / "job.json"
            job.write_text(json.dumps(self._write_inputs(runs, directory)))
            reader = OutcomeReader(directory / "events.txt", self._build.lanes)
            self._simulate(job, reader, progress)
        return reader.outcomes

    def _write_inputs(self, runs: Sequence[Run], directory: Path) -> list[dict[str, int]]:
        programs = InputFile(directory / "program.bin")
        images = InputFile(directory / "image.bin")
        jobs = []
        for number, run in enumerate(runs):
            if run.image.shape[1] != self._build.lanes:
                raise ValueError(
                    f"run {number}: image has {run.image.shape[1]} lanes, "
                    f"the design has {self._build.lanes}"
                )
            words = program_bytes(run.program, self._build.word_bits)
            jobs.append(
                {
                    "program_start": programs.add(words, run.program, run.program_last),
                    "program_count": len(run.program),
                    # Byte 0 is the lowest, and the harness reads the highest first.
                    "image_start": images.add(run.image[:, ::-1], run.image, run.image_last),
                    "image_count": len(run.image),
                    **run.stalls.ports(),
                    "reset_before": int(run.reset_before),
                    "reset_within": int(run.reset_after is not None),
                    "reset_cycle": run.reset_after or 0,
                    "limit": run.limit,
                }
            )
        return jobs

    def _simulate(
        self, job: Path, reader: OutcomeReader, progress: Callable[[int], None] | None
    ) -> None:
        runs = len(json.loads(job.read_text()))
        reported = 0

        def watch() -> None:
            nonlocal reported
            done = reader.read()
            if done > reported and progress is not None:
                progress(done)
            reported = done

        log = job.with_name("log.txt")
        began = time.perf_counter()
        self._launch(job, log, watch)
        watch()
        if reported != runs or not (seconds := job.with_name(SECONDS_FILE)).exists():
            raise failure(f"the simulator stopped after {reported} of {runs} runs", log)
        self._statistics = Statistics(
            cycles=sum(outcome.cycles for outcome in reader.outcomes),
            seconds=float(seconds.read_text()),
            total_seconds=time.perf_counter() - began,
        )

    def _launch(self, job: Path, log: Path, watch: Callable[[], None]) -> None:
        variables = {JOB_VARIABLE: str(job)}
        stop = None
        if self._waves is not None:
            # Verilator's program would run without a word, and write nothing.
            try:
                self._waves.write_bytes(b"")
            except OSError as error:
                raise InputError(f"{self._waves}: cannot be written: {error.strerror}") from None
            mark = job.with_name("stop")
            variables[STOP_VARIABLE] = str(mark)
            stop = mark.touch
        launch(
            self._build.simulator,
            self._build.directory,
            job.parent,
            log,
            testbench=RUNS_TESTBENCH,
            variables=variables,
            waves=self._waves,
            watch=watch,
            stop=stop,
        )
