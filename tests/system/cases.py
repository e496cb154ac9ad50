"""Programs with their images and the results that must come of them."""

from dataclasses import dataclass, replace

import numpy as np

from hiddenite.compiler.compile import compile_network
from hiddenite.compiler.estimate import estimate
from hiddenite.compiler.program import Program
from hiddenite.golden.inference import infer
from hiddenite.golden.network import Conv, Input, MaxPool, Network
from hiddenite.rtl.engine import State
from hiddenite.rtl.program.packets import ErrorCode
from hiddenite.sim.simulation import Run, Stalls


@dataclass(frozen=True, eq=False)
class Case:
    """A program, a batch of images for it, and the golden model's results.

    Parameters
    ----------
    program : Program
    beats : ndarray of uint8
        The images as beats of the image stream.
    expected : ndarray
        The golden model's results.
    """

    program: Program
    beats: np.ndarray
    expected: np.ndarray

    @classmethod
    def of(cls, network, image, configuration):
        """Compile a network for one image; see `of_batch`."""
        return cls.of_batch(network, image[None], configuration)

    @classmethod
    def of_batch(cls, network, images, configuration):
        """Compile a network; raises `InputError` if the configuration is too small for it."""
        program = compile_network(network, configuration, batch=len(images))
        return cls(program, program.image_beats(images), infer(network, images))

    def run(self, **changes):
        """Return the run of this case, parts of it changed."""
        stalls = changes.get("stalls", Stalls())
        going = 1 - max(stalls.program, stalls.image, stalls.result)
        limit = int((4 * estimate(self.program).cycles + 100_000) / going)
        return replace(Run(self.program.words, self.beats, limit=limit), **changes)

    def fault(self, outcome):
        """Return what is wrong with a run, or None."""
        if outcome.timed_out:
            return f"in state {outcome.state} after {outcome.cycles} cycles"
        if outcome.state != State.IDLE or outcome.error:
            return f"in state {outcome.state} with error {ErrorCode(outcome.error).name}"
        if len(outcome.results) != len(self.program.result_order()):
            return f"{len(outcome.results)} result beats of {len(self.program.result_order())}"
        if not outcome.last:
            return "last is not on the last result beat alone"
        if outcome.program_words != len(self.program.words):
            return f"{outcome.program_words} program words taken of {len(self.program.words)}"
        if outcome.image_beats != len(self.beats):
            return f"{outcome.image_beats} image beats taken of {len(self.beats)}"
        wrong = np.argwhere(self.program.results(outcome.results) != self.expected)
        if len(wrong):
            return f"{len(wrong)} wrong values of {self.expected.size}, the first at {wrong[0]}"
        return None


def faults(cases, outcomes):
    """Return what is wrong with which of some runs, one case for each."""
    found = [case.fault(outcome) for case, outcome in zip(cases, outcomes, strict=True)]
    return {number: fault for number, fault in enumerate(found) if fault is not None}


def small_case(configuration, seed=3):
    """A network of two convs and a pool in a few hundred program words of 8 bits.

    The signs of the second conv are learned, and all of its weights are kept.
    """
    rng = np.random.default_rng(seed)

    def conv(name, source, channels, out_channels, kernel, density, **options):
        return Conv(
            name=name,
            input=source,
            kernel=kernel,
            out_channels=out_channels,
            mask=rng.random((out_channels, kernel, kernel, channels)) < density,
            scale=np.full(out_channels, 3000, np.int16),
            bias=np.zeros(out_channels, np.int32),
            shift=14,
            **options,
        )

    learned = rng.random((5, 2, 2, 6)) < 0.5
    layers = [
        conv("a", "image", 2, 6, 3, 0.4, index=0, padding=1),
        MaxPool(name="p", input="a", kernel=2),
        conv("b", "p", 6, 5, 2, 1, sign=learned, index=1, output="int32"),
    ]
    image = Input(name="image", height=4, width=4, channels=2)
    network = Network(name="small", seed=7, input=image, layers=layers)
    return Case.of(network, rng.integers(0, 256, image.shape, np.uint8), configuration)
