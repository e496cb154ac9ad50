"""Whatever is wrong with a program ends in an error that the host can read."""

from dataclasses import replace

import numpy as np
import pytest
from system.cases import small_case
from system.test_array_builds import BUILDS

from hiddenite.rtl.configuration import PRESETS
from hiddenite.rtl.engine import State
from hiddenite.rtl.program.packets import ErrorCode

TINY = PRESETS["tiny"]
# More than the engine's own time-out: a run that this ends has hung.
LIMIT = TINY.timeout_cycles + 50_000
HEADER_BYTES = 4
CHECKSUM_BYTES = 4


# Errors take other ways, and outputs wait elsewhere, where registers are in between.
CONFIGURATIONS = {"tiny": TINY, "high clock": replace(TINY, **BUILDS["high clock"])}


@pytest.fixture(scope="module", params=CONFIGURATIONS)
def configuration(request):
    return CONFIGURATIONS[request.param]


@pytest.fixture(scope="module")
def case(configuration):
    return small_case(configuration)


@pytest.fixture
def run_damaged(configuration, case, engines):
    """Run damaged programs; return the error codes that they end with.

    Each run must end in the error state by itself. What it has sent until then must be the
    beginning of the right results, and a good program must run after a reset.
    """

    def run_damaged(runs):
        good = case.run(reset_before=True)
        sequence = [good]
        for run in runs:
            sequence += [replace(run, reset_before=True, limit=LIMIT), good]
        first, *outcomes = engines.simulation(configuration).run(sequence)
        assert case.fault(first) is None
        codes = []
        for number, damaged in enumerate(outcomes[::2]):
            assert not damaged.timed_out, f"run {number} hangs in state {damaged.state}"
            assert damaged.state == State.ERROR, f"run {number} ends in state {damaged.state}"
            sent = len(damaged.results)
            np.testing.assert_array_equal(
                damaged.results, first.results[:sent], err_msg=f"run {number}"
            )
            codes.append(ErrorCode(damaged.error))
        for number, again in enumerate(outcomes[1::2]):
            assert case.fault(again) is None, f"after run {number}"
        assert ErrorCode.NONE not in codes
        return codes

    return run_damaged


def test_every_single_bit(configuration, case, run_damaged, request):
    """Of `tiny` every bit; behind more registers one bit of each word.

    Which bit it is decides what a word then says, and that the same circuits read in both. What
    registers change is when it is found, which depends on the word. `--exhaustive` takes every bit
    of both.
    """
    words, bits = case.program.words, TINY.program_bits
    places = np.arange(len(words) * bits)
    if configuration != TINY and not request.config.option.exhaustive:
        places = places[::bits] + np.random.default_rng(8).integers(bits, size=len(words))
    runs = []
    for place in places:
        damaged = words.copy()
        damaged[place // bits] ^= np.uint64(1 << int(place) % bits)
        runs.append(case.run(program=damaged))
    codes = run_damaged(runs)
    found = [
        {code for place, code in zip(places, codes, strict=True) if first <= place < end}
        for first, end in ((0, 32), (32, 64), (64, len(words) * bits))
    ]
    assert found[:2] == [{ErrorCode.MAGIC}, {ErrorCode.CONFIGURATION}]
    # A mask that means something else may go on to the end of the program.
    assert found[2] <= {ErrorCode.OPCODE, ErrorCode.CHECKSUM, ErrorCode.TRUNCATED}
    assert np.mean([code == ErrorCode.CHECKSUM for code in codes]) > 0.9


def test_every_word_replaced(case, run_damaged):
    """By its complement, by zero, by its neighbour: more bits than one."""
    words = case.program.words
    runs = []
    for place in range(len(words)):
        for value in (words[place] ^ np.uint64(0xFF), np.uint64(0), words[place - 1]):
            if value != words[place]:
                damaged = words.copy()
                damaged[place] = value
                runs.append(case.run(program=damaged))
    run_damaged(runs)


def test_one_word_left_out_or_twice(case, run_damaged):
    words = case.program.words
    shorter = [np.delete(words, place) for place in range(len(words))]
    longer = [np.insert(words, place, words[place]) for place in range(len(words))]
    run_damaged([case.run(program=program) for program in shorter + longer])


def test_cut_with_last(case, run_damaged):
    words = case.program.words
    codes = run_damaged([case.run(program=words[:end]) for end in range(1, len(words))])
    assert set(codes) == {ErrorCode.TRUNCATED}


def test_stream_that_stops(case, run_damaged):
    words = case.program.words
    ends = [1, HEADER_BYTES, HEADER_BYTES + CHECKSUM_BYTES, *range(20, len(words), 31)]
    ends += [len(words) - CHECKSUM_BYTES, len(words) - 1]
    runs = [case.run(program=words[:end], program_last=False) for end in ends]
    assert set(run_damaged(runs)) == {ErrorCode.TIMEOUT}


def test_program_that_goes_on(case, run_damaged):
    words = case.program.words
    longer = [np.append(words, words[:count]) for count in (1, 2, HEADER_BYTES, len(words))]
    runs = [case.run(program=program) for program in longer]
    # The last word without `last`, and nothing after it.
    runs.append(case.run(program_last=False))
    assert set(run_damaged(runs)) == {ErrorCode.TRAILING}


def test_something_else_than_a_program(case, run_damaged):
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (20, 400), np.uint8).astype(np.uint64)
    noise[:, 0] = np.arange(20)
    constant = [np.full(400, value, np.uint64) for value in (0, 0xFF)]
    codes = run_damaged([case.run(program=program) for program in [*noise, *constant]])
    assert set(codes) == {ErrorCode.MAGIC}


@pytest.mark.parametrize(
    "change",
    [
        {"tile_words": 512},
        {"activation_words": 4096},
        {"constructor_lanes": 4},
        {"rows": 1},
        {"cols": 4},
        {"accumulator_bits": 21},
        {"bias_bits": 33},
    ],
    ids=lambda change: "-".join(change),
)
def test_program_for_another_configuration(change, case, run_damaged):
    other = small_case(replace(TINY, **change)).program.words
    assert run_damaged([case.run(program=other)]) == [ErrorCode.CONFIGURATION]


def test_image_of_another_size(case, run_damaged):
    beats = case.beats
    short = [case.run(image=beats[:end]) for end in range(1, len(beats))]
    assert set(run_damaged(short)) == {ErrorCode.IMAGE_SHORT}
    long = [case.run(image=np.resize(beats, (end, beats.shape[1]))) for end in (17, 18, 32, 300)]
    assert set(run_damaged([*long, case.run(image_last=False)])) == {ErrorCode.IMAGE_LONG}


def test_image_that_stops(case, run_damaged):
    ends = (1, 2, 7, len(case.beats) - 1)
    runs = [case.run(image=case.beats[:end], image_last=False) for end in ends]
    assert set(run_damaged(runs)) == {ErrorCode.TIMEOUT}
