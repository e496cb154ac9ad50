"""Simulated hardware against the golden model, to the first element that differs."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from hiddenite.compiler.compile import compile_network
from hiddenite.compiler.estimate import estimate
from hiddenite.compiler.program import Program
from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import check_images, infer, infer_layers
from hiddenite.golden.network import Network
from hiddenite.rtl.configuration import Configuration
from hiddenite.rtl.engine import State
from hiddenite.rtl.program.packets import ErrorCode
from hiddenite.rtl.verilog import generate
from hiddenite.sim.simulation import Outcome, Run, Simulation, Stalls, Statistics

__all__ = ["Difference", "Verification", "verify"]

# One process of the simulator runs so many batches, of so many bytes; a broken design then costs
# the rest of them, not the rest of all images.
_PROCESS_RUNS = 256
_PROCESS_BYTES = 1 << 28
# The cycle limit of a run is a multiple of what it should take, and something for small networks.
_LIMIT_FACTOR = 4
_LIMIT_CYCLES = 100_000

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where simulated hardware first differs from the golden model.

    Attributes
    ----------
    image : int
        Number of the first image with a wrong result.
    layer : str
        The first layer, in order of execution, whose output is wrong for that image.
    y, x, channel : int or None
        The first wrong element of that output; None where `fault` is given.
    expected, got : int or None
        The golden model's value and the hardware's.
    fault : str or None
        What the hardware did instead of sending a whole result.
    recurs : bool
        Whether the image goes wrong by itself too, after a reset. If not, `layer` and the element
        are those of the run after other images.
    """

    image: int
    layer: str
    y: int | None = None
    x: int | None = None
    channel: int | None = None
    expected: int | None = None
    got: int | None = None
    fault: str | None = None
    recurs: bool = True

    def __str__(self) -> str:
        text = f"image {self.image}: layer {self.layer!r}"
        if self.fault is not None:
            text += f": the hardware {self.fault}"
        else:
            text += (
                f" differs first at y {self.y}, x {self.x}, channel {self.channel}:"
                f" expected {self.expected}, got {self.got}"
            )
        return text if self.recurs else f"{text}; by itself, after a reset, the image is right"


@dataclass(frozen=True, kw_only=True, eq=False)
class Verification:
    """What came of `verify`.

    Attributes
    ----------
    program : Program
        What the engine ran.
    results : ndarray, shape (N, OH, OW, O)
        Results of the hardware, of the type of the last layer's output. Not to be used where the
        hardware has gone wrong: nothing is simulated long after that.
    cycles : ndarray of int64, shape (B,)
        Clock cycles of each batch of the program, the program included.
    statistics : Statistics
        How fast the simulation was.
    difference : Difference or None
        The first one; None if every result equals the golden model's.
    """

    program: Program
    results: np.ndarray
    cycles: np.ndarray
    statistics: Statistics
    difference: Difference | None

    @property
    def image_cycles(self) -> float:
        """Clock cycles of an image: those of a batch over its images."""
        return float(self.cycles.mean()) / self.program.batch

    @property
    def equal(self) -> bool:
        """Whether the hardware equals the golden model, in every bit of every result."""
        return self.difference is None

    @property
    def utilisation(self) -> float:
        """Share of the PEs' cycles in which they have a weight to work on, kept or not."""
        work = self.program.batch * sum(
            stage.conv.mask.size * stage.shape[0] * stage.shape[1]
            for stage in self.program.stages
            if stage.kind == "conv"
        )
        cycles = float(self.cycles.mean())
        return work / (self.program.configuration.processing_elements * cycles)


def verify(
    network: Network,
    images: np.ndarray,
    configuration: Configuration,
    *,
    batch: int = 1,
    simulator: str = "verilator",
    waves: Path | None = None,
    public: bool = False,
    verilog: str | Callable[[], str] | None = None,
    stalls: Stalls | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Simulate a network on an engine, batch by batch, and compare with the golden model.

    Parameters
    ----------
    network : Network
        The network.
    images : uint8 or int8 array, (N, H, W, C)
        At least one image of the type and shape of its input.
    configuration : Configuration
        The engine's sizes.
    batch : int
        Images of a batch, the last of which is filled up.
    simulator : str
        "verilator" or "icarus".
    waves : Path, optional
        File for the waveforms, ending in .fst or .vcd.
    public : bool
        Whether cocotb sees all signals, at several times the cost.
    verilog : str or callable, optional
        Text of the engine, or what makes it once the network is known to fit; the default is to
        generate it.
    stalls : Stalls, optional
        Pauses of the streams; the default is none.
    progress : callable, optional
        Called with a step, how much of it is done, and of how much; at a step's start with 0, at
        its end with the whole.

    Returns
    -------
    Verification

    Raises
    ------
    InputError
        The images do not fit the network, the network does not fit the configuration, or a program
        is missing.
    RuntimeError
        The simulator fails.
    """
    report = progress or (lambda *_: None)
    stalls = stalls or Stalls()
    check_images(network, images)
    if not len(images):
        raise InputError(f"images for network {network.name!r} must be at least one, not 0")

    report("compile the network", 0, 1)
    program = compile_network(network, configuration, batch=batch)
    batches = program.batches(images)
    together = max(1, min(_PROCESS_RUNS, _PROCESS_BYTES // program.image_beats(batches[0]).nbytes))
    if waves is not None:
        # Every process begins the file anew.
        if len(batches) > together:
            raise InputError(
                f"waveforms can be written of up to {together * batch} images, not {len(images)}"
            )
        together = len(batches)
    report("compile the network", 1, 1)

    step = "compute the golden model"
    report(step, 0, len(images))
    expected = infer(network, images, lambda done: report(step, done, len(images)))

    if verilog is None:
        report("generate Verilog", 0, 1)
        verilog = generate(configuration)
        report("generate Verilog", 1, 1)
    elif callable(verilog):
        verilog = verilog()

    report("build the simulator", 0, 1)
    build = partial(
        Simulation,
        verilog,
        word_bits=configuration.program_bits,
        lanes=configuration.post_lanes,
        simulator=simulator,
        public=public,
    )
    simulation = build(waves=waves)
    report("build the simulator", 1, 1)

    bench = _Bench(simulation, stalls)
    results = np.zeros_like(expected)
    cycles = np.zeros(len(batches), np.int64)
    report("simulate", 0, len(images))
    difference = None
    for start in range(0, len(batches), together):

        def simulated(done: int, start: int = start) -> None:
            report("simulate", min((start + done) * batch, len(images)), len(images))

        outcomes = bench.run(program, batches[start : start + together], simulated)
        for number, outcome in enumerate(outcomes, start):
            result = _Result(program, outcome)
            first = number * batch
            own = expected[first : first + batch]
            results[first : first + batch] = result.values[: len(own)]
            cycles[number] = outcome.cycles
            if difference is None:
                difference = result.difference(first, network.layers[-1].name, own)
        if difference is not None:
            break
    statistics = bench.statistics

    if difference is not None:
        with tempfile.TemporaryDirectory(prefix="hiddenite-") as directory:
            if waves is not None:
                # The build is the same; the waveforms that were asked for stay.
                other = Path(directory) / f"prefix{Path(waves).suffix}"
                bench = _Bench(build(waves=other), stalls)
            difference = _first(bench, network, program, images, difference, report)

    return Verification(
        program=program,
        results=results,
        cycles=cycles,
        statistics=statistics,
        difference=difference,
    )


class _Bench:
    """A simulation that counts over several processes."""

    def __init__(self, simulation: Simulation, stalls: Stalls) -> None:
        self._simulation = simulation
        self._stalls = stalls
        self.statistics = Statistics(cycles=0, seconds=0.0, total_seconds=0.0)

    def run(self, program: Program, batches, progress=None) -> list[Outcome]:
        """Run a program once for each batch, without a reset between them."""
        pauses = max(self._stalls.program, self._stalls.image, self._stalls.result)
        cycles = (_LIMIT_FACTOR * estimate(program).cycles + _LIMIT_CYCLES) / (1 - pauses)
        limit = min(int(cycles), (1 << 32) - 1)
        outcomes = self._simulation.run(
            [
                Run(program.words, program.image_beats(own), stalls=self._stalls, limit=limit)
                for own in batches
            ],
            progress,
        )
        one, two = self.statistics, self._simulation.statistics
        self.statistics = Statistics(
            cycles=one.cycles + two.cycles,
            seconds=one.seconds + two.seconds,
            total_seconds=one.total_seconds + two.total_seconds,
        )
        return outcomes


class _Result:
    """What a run sent, image by image: int32 whatever its type is, so nothing wraps."""

    def __init__(self, program: Program, outcome: Outcome) -> None:
        order = program.result_order()
        sent = order >= 0
        self.values = np.zeros((program.batch, *program.result_shape), np.int32)
        self.fault = _fault(program, outcome, len(order))
        self.layer = None
        if self.fault is None:
            self.values.reshape(-1)[order[sent]] = outcome.results[sent]
        elif outcome.layer < len(program.stages):
            self.layer = program.stages[outcome.layer].name

    def difference(self, first: int, layer: str, expected: np.ndarray) -> Difference | None:
        """Compare with the golden outputs of a layer, from the batch's first image on."""
        if self.fault is not None:
            return Difference(image=first, layer=self.layer or layer, fault=self.fault)
        wrong = np.argwhere(self.values[: len(expected)] != expected)
        if not len(wrong):
            return None
        image, y, x, channel = at = tuple(map(int, wrong[0]))
        return Difference(
            image=first + image,
            layer=layer,
            y=y,
            x=x,
            channel=channel,
            expected=int(expected[at]),
            got=int(self.values[at]),
        )


def _fault(program: Program, outcome: Outcome, beats: int) -> str | None:
    """What is wrong with a run, its values aside."""
    if outcome.state == State.ERROR or outcome.error:
        names = {code.value: code.name for code in ErrorCode}
        return f"stopped with error {names.get(outcome.error, outcome.error)}"
    if outcome.timed_out:
        names = {State.IDLE: "IDLE", State.RUNNING: "RUNNING"}
        state = names.get(outcome.state, outcome.state)
        return f"was still in state {state} after {outcome.cycles} cycles"
    if len(outcome.results) != beats:
        return f"sent {len(outcome.results)} beats of results instead of {beats}"
    if not outcome.last:
        return "did not mark the last beat of its result, and no other"
    if outcome.program_words != len(program.words):
        return f"took {outcome.program_words} of {len(program.words)} program words"
    return None


def _first(
    bench: _Bench,
    network: Network,
    program: Program,
    images: np.ndarray,
    found: Difference,
    report: Progress,
) -> Difference:
    """Find the first layer that is wrong by running the network up to each layer."""
    step = "look for the first wrong layer"
    # Several stages may make one layer's output.
    made = (stage.name for stage in program.stages if stage.kind not in ("load", "copy"))
    names = list(dict.fromkeys(made))
    image = images[found.image : found.image + 1]
    expected = infer_layers(network, image, names)
    report(step, 0, len(names))
    for number, name in enumerate(names, 1):
        try:
            # A batch goes wrong as a whole: all its images are the wrong one.
            prefix = compile_network(
                network.prefix(name), program.configuration, batch=program.batch
            )
        except InputError:
            # Its tensors lie elsewhere than in the whole network, and may not fit there.
            continue
        (outcome,) = bench.run(prefix, prefix.batches(image))
        difference = _Result(prefix, outcome).difference(found.image, name, expected[name])
        report(step, number if difference is None else len(names), len(names))
        if difference is not None:
            return difference
    return Difference(**{**vars(found), "recurs": False})
