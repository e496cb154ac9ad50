import subprocess
import threading
import time

import numpy as np
import pytest
from foreign_variables import FOREIGN

from hiddenite.golden.errors import InputError
from hiddenite.sim.cache import cache_directory
from hiddenite.sim.simulation import Run, Simulation, Stalls

WORDS, BEATS = 40, 60


def data(lanes, seed=0, words=WORDS, beats=BEATS):
    random = np.random.default_rng(seed)
    program = random.integers(3, 256, words).astype(np.uint64)
    return program, random.integers(0, 256, (beats, lanes)).astype(np.uint8)


def expected(program, image):
    sums = image.astype(np.int64).sum(axis=0)
    factors = np.arange(1, 5)[:, None]
    return (sums * factors + int(program.sum())).astype(np.int32)


def check_complete(outcome, run):
    np.testing.assert_array_equal(outcome.results, expected(run.program, run.image))
    assert outcome.results.dtype == np.int32
    assert outcome.last
    assert (outcome.state, outcome.error) == (0, 0)
    assert (outcome.program_words, outcome.image_beats) == (len(run.program), len(run.image))
    assert not outcome.timed_out and not outcome.was_reset


# Each build with Verilator takes seconds: two of its own, the rest with Icarus.
@pytest.mark.parametrize(
    ("simulator", "word_bits", "lanes"),
    [
        ("verilator", 8, 1),
        ("verilator", 64, 4),
        ("icarus", 8, 1),
        ("icarus", 16, 2),
        ("icarus", 32, 16),
        ("icarus", 64, 32),
    ],
)
def test_words_and_lanes(request, simulate, simulator, word_bits, lanes):
    if simulator == "icarus":
        request.getfixturevalue("icarus_only")
    run = Run(*data(lanes))
    (outcome,) = simulate(simulator, word_bits, lanes).run([run])
    check_complete(outcome, run)


def test_wide_words_arrive_whole(simulator, simulate):
    program = np.array([0x8000_0000_0000_0003, 0x0123_4567_89AB_CDEF], np.uint64)
    run = Run(program, data(4)[1])
    (outcome,) = simulate(simulator, 64, 4).run([run])
    low = program & np.uint64(0xFFFFFFFF)
    sums = run.image.astype(np.int64).sum(axis=0)
    total = sums * np.arange(1, 5)[:, None] + int(low.sum())
    np.testing.assert_array_equal(outcome.results, total.astype(np.uint32).view(np.int32))


def test_cycles_are_counted_from_the_first_word(simulator, simulate):
    program, image = data(4)
    (outcome,) = simulate(simulator, 64, 4).run([Run(program, image)])
    # Running from cycle 1; a beat in every second cycle; four results; one cycle to become idle.
    first = outcome.result_cycles[0]
    assert first in (2 * BEATS + 1, 2 * BEATS)
    assert list(outcome.result_cycles) == list(range(first, first + 4))
    assert outcome.cycles == first + 5
    # Without a stall a word goes in every cycle, so a layer begins in every eighth.
    assert outcome.layer_cycles == [(0, 1)] + [(n, 8 * n) for n in range(1, WORDS // 8 + 1)]
    assert outcome.layer == WORDS // 8


def test_stalls_change_cycles_but_not_results(simulator, simulate):
    program, image = data(4)
    stalls = [
        Stalls(),
        Stalls(program=0.9),
        Stalls(image=0.9),
        Stalls(result=0.9),
        Stalls(0.5, 0.5, 0.5, seed=2),
        Stalls(0.5, 0.5, 0.5, seed=3),
    ]
    runs = [Run(program, image, stalls=s) for s in stalls]
    outcomes = simulate(simulator, 64, 4).run(runs)
    for outcome, run in zip(outcomes, runs, strict=True):
        check_complete(outcome, run)
    assert len({outcome.cycles for outcome in outcomes}) == len(runs)
    assert outcomes[0].cycles == min(outcome.cycles for outcome in outcomes)


def test_both_simulators_agree_to_the_cycle(simulate, icarus_only):
    runs = [
        Run(*data(4, seed), stalls=Stalls(0.3, 0.6, 0.8, seed), reset_before=bool(seed % 2))
        for seed in range(6)
    ]
    runs.append(Run(*data(4), stalls=Stalls(0.4, 0.4), reset_after=33))
    runs.append(Run(*data(4), stalls=Stalls(0.4, 0.4), limit=70))
    of_one, of_other = (simulate(name, 64, 4).run(runs) for name in ("verilator", "icarus"))
    for one, other in zip(of_one, of_other, strict=True):
        for name, value in vars(one).items():
            np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)


def test_runs_without_reset_and_progress(simulator, simulate):
    runs = [Run(*data(4, seed)) for seed in range(5)]
    simulation, done = simulate(simulator, 64, 4), []
    outcomes = simulation.run(runs, done.append)
    for outcome, run in zip(outcomes, runs, strict=True):
        check_complete(outcome, run)
    assert done == sorted(set(done)) and done[-1] == 5
    assert simulation.statistics.cycles == sum(outcome.cycles for outcome in outcomes)
    assert simulation.statistics.cycles_per_second > 0


def test_reset_ends_a_run(simulator, simulate):
    program, image = data(4)
    stopped, after = simulate(simulator, 64, 4).run(
        [Run(program, image, reset_after=20), run := Run(program, image)]
    )
    assert stopped.was_reset and not stopped.timed_out
    assert (stopped.cycles, stopped.state, stopped.program_words) == (20, 1, 21)
    assert len(stopped.results) == 0 and not stopped.last
    check_complete(after, run)


def test_limit_ends_a_run(simulator, simulate):
    program, image = data(4)
    stopped, after = simulate(simulator, 64, 4).run(
        [Run(program, image, limit=50), run := Run(program, image, reset_before=True)]
    )
    assert stopped.timed_out and not stopped.was_reset
    assert (stopped.cycles, stopped.state) == (50, 1)
    check_complete(after, run)


def test_errors_stay_until_reset(simulator, simulate):
    program, image = data(4)
    bad = program.copy()
    bad[10] = 2
    wrong, still, missing_last, after = simulate(simulator, 64, 4).run(
        [
            Run(bad, image),
            Run(program, image),
            Run(program, image, program_last=False, reset_before=True),
            run := Run(program, image, reset_before=True),
        ]
    )
    assert (wrong.cycles, wrong.state, wrong.error, wrong.program_words) == (11, 2, 5, 11)
    assert (still.cycles, still.state, still.error, still.program_words) == (0, 2, 5, 0)
    assert (missing_last.state, missing_last.error, missing_last.timed_out) == (2, 9, False)
    assert missing_last.program_words == WORDS
    check_complete(after, run)


def test_early_end_shows_what_was_left(simulator, simulate):
    program, image = data(4)
    early = program.copy()
    early[15] = 1
    stopped, after = simulate(simulator, 64, 4).run([Run(early, image), run := Run(program, image)])
    assert (stopped.state, stopped.program_words) == (0, 16)
    assert stopped.image_beats < BEATS
    assert len(stopped.results) == 0 and not stopped.last
    check_complete(after, run)


@pytest.mark.parametrize("suffix", ["fst", "vcd"])
def test_waves_of_icarus(tmp_path, verilog, icarus_only, suffix):
    waves = tmp_path / f"a b.{suffix}"
    simulation = Simulation(verilog(64, 4), word_bits=64, lanes=4, simulator="icarus", waves=waves)
    simulation.run([Run(*data(4))])
    assert waves.read_bytes().startswith(b"$date" if suffix == "vcd" else b"\x00")


def test_waves_of_verilator(tmp_path, verilog):
    waves = tmp_path / "a b.vcd"
    simulation = Simulation(verilog(64, 4), word_bits=64, lanes=4, waves=waves)
    simulation.run([Run(*data(4))])
    assert "status__state" in waves.read_text()


def fst_blocks(content):
    """Types of the blocks of an FST file, which has each one's length behind its type."""
    at, kinds = 0, []
    while at < len(content):
        kinds.append(content[at])
        at += 1 + int.from_bytes(content[at + 1 : at + 9], "big")
    assert at == len(content)
    return kinds


def check_waves(waves, cycles):
    """Whether a file is whole, names signals, and goes on for so many cycles of 2 ns at least."""
    content = waves.read_bytes()
    if waves.suffix == ".fst":
        kinds = fst_blocks(content)
        # Its header, its geometry, its names.
        assert kinds[0] == 0 and 3 in kinds and set(kinds) & {4, 6, 7}
        assert int.from_bytes(content[17:25], "big") >= 2 * cycles
        return
    head, body = content.decode().split("$enddefinitions $end")
    assert "status__state" in head
    assert body.endswith("\n")
    assert max(int(line[1:]) for line in body.splitlines() if line.startswith("#")) >= 2 * cycles


class StopError(Exception):
    """What ends a simulation from outside."""


@pytest.fixture
def endless(monkeypatch):
    """A run that is ended from outside, after some time."""
    polls = iter(range(10**6))

    def read(reader):
        # Once the testbench has had time to begin.
        if reader._path.exists() and next(polls) > 2:
            raise StopError
        return 0

    monkeypatch.setattr("hiddenite.sim.simulation.OutcomeReader.read", read)
    program, image = data(4)
    return Run(program, np.resize(image, (4_000_000, 4)), limit=2**32 - 1)


@pytest.mark.parametrize(
    ("simulator", "suffix"), [("icarus", "vcd"), ("icarus", "fst"), ("verilator", "vcd")]
)
def test_waves_of_a_run_that_is_ended(tmp_path, request, verilog, endless, simulator, suffix):
    if simulator == "icarus":
        request.getfixturevalue("icarus_only")
    waves = tmp_path / f"w.{suffix}"
    simulation = Simulation(verilog(64, 4), word_bits=64, lanes=4, simulator=simulator, waves=waves)
    with pytest.raises(StopError):
        simulation.run([endless])
    check_waves(waves, 500)
    assert list(tmp_path.iterdir()) == [waves]


@pytest.mark.parametrize("suffix", ["fst", "vcd"])
def test_waves_of_a_design_with_unknown_bits(tmp_path, verilog, icarus_only, suffix):
    text = verilog(64, 4).replace("+ program_sum;\n        end", "+ 32'bx;\n        end")
    waves = tmp_path / f"w.{suffix}"
    simulation = Simulation(text, word_bits=64, lanes=4, simulator="icarus", waves=waves)
    with pytest.raises(RuntimeError, match="unknown bits"):
        simulation.run([Run(*data(4))] * 3)
    check_waves(waves, WORDS)


@pytest.mark.parametrize("task", ["$finish", "$fatal"])
def test_waves_of_a_simulator_that_ends_itself(tmp_path, verilog, icarus_only, task):
    text = verilog(64, 4).replace("        odd <= ~odd;", f"        if (word == 77) {task};")
    waves = tmp_path / "w.fst"
    simulation = Simulation(text, word_bits=64, lanes=4, simulator="icarus", waves=waves)
    with pytest.raises(RuntimeError, match=r"the simulator (stopped after|ended with)"):
        simulation.run([Run(np.full(9, 77, np.uint64), data(4)[1])])
    check_waves(waves, 1)


@pytest.mark.parametrize("suffix", ["fst", "vcd"])
def test_waves_of_a_simulator_that_is_killed(tmp_path, verilog, icarus_only, monkeypatch, suffix):
    waves = tmp_path / f"w.{suffix}"
    simulation = Simulation(verilog(64, 4), word_bits=64, lanes=4, simulator="icarus", waves=waves)
    start = subprocess.Popen

    def kill(process):
        # Once it writes.
        while not any(path.stat().st_size > 300 for path in tmp_path.glob("w.*")):
            time.sleep(0.01)
        process.kill()

    def popen(*arguments, **options):
        process = start(*arguments, **options)
        threading.Thread(target=kill, args=[process], daemon=True).start()
        return process

    monkeypatch.setattr("hiddenite.sim.launchers.subprocess.Popen", popen)
    run = Run(data(4)[0], np.resize(data(4)[1], (4_000_000, 4)), limit=2**32 - 1)
    with pytest.raises(RuntimeError, match="the simulator ended with status -9"):
        simulation.run([run])
    # What was not closed is readable as text alone.
    assert list(tmp_path.iterdir()) == ([waves] if suffix == "vcd" else [])


def test_waves_that_cannot_be_written(tmp_path, verilog, icarus_only):
    waves = tmp_path / "none" / "w.vcd"
    simulation = Simulation(verilog(64, 4), word_bits=64, lanes=4, simulator="icarus", waves=waves)
    with pytest.raises(InputError) as caught:
        simulation.run([Run(*data(4))])
    assert str(caught.value) == f"{waves}: cannot be written: No such file or directory"


def test_variables_of_the_user_change_nothing(simulator, simulate, verilog, monkeypatch, tmp_path):
    run = Run(*data(4), stalls=Stalls(0.5, 0.5, 0.5))
    (expected,) = simulate(simulator, 64, 4).run([run])
    # Built anew, but for Verilator's own library, which takes long.
    libraries = list(cache_directory().glob("library-*"))
    monkeypatch.setenv("HIDDENITE_CACHE", str(tmp_path))
    for library in libraries:
        (tmp_path / library.name).symlink_to(library)
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    (outcome,) = Simulation(verilog(64, 4), word_bits=64, lanes=4, simulator=simulator).run([run])
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(value, getattr(outcome, name), err_msg=name)


def test_public_signals_change_nothing(simulate, verilog):
    run = Run(*data(4), stalls=Stalls(0.5, 0.5, 0.5))
    (one,) = simulate("verilator", 64, 4).run([run])
    (other,) = Simulation(verilog(64, 4), word_bits=64, lanes=4, public=True).run([run])
    check_complete(other, run)
    assert one.cycles == other.cycles


def test_unknown_bits_are_reported(verilog, icarus_only):
    text = verilog(64, 4).replace("+ program_sum;\n        end", "+ 32'bx;\n        end")
    simulation = Simulation(text, word_bits=64, lanes=4, simulator="icarus")
    with pytest.raises(RuntimeError, match="run 0: the design puts out unknown bits"):
        simulation.run([Run(*data(4))])


def test_dead_simulator_is_reported(verilog, icarus_only):
    text = verilog(64, 4).replace(
        "        odd <= ~odd;", '        if (word == 77) begin $display("oops"); $finish; end'
    )
    simulation = Simulation(text, word_bits=64, lanes=4, simulator="icarus")
    with pytest.raises(RuntimeError, match=r"stopped after 0 of 1 runs\n(.|\n)*oops"):
        simulation.run([Run(np.full(9, 77, np.uint64), data(4)[1])])


def test_an_error_in_progress_passes(simulate):
    class StopError(Exception):
        pass

    def stop(done):
        raise StopError

    with pytest.raises(StopError):
        simulate("verilator", 64, 4).run([Run(*data(4))], stop)


def test_inputs_are_checked(simulate, tmp_path):
    program, image = data(4)
    simulation = simulate("verilator", 8, 1)
    with pytest.raises(ValueError, match="run 0: image has 4 lanes, the design has 1"):
        simulation.run([Run(program, image)])
    with pytest.raises(ValueError, match="a program word has more than 8 bits"):
        simulation.run([Run(np.array([256], np.uint64), image[:, :1])])
    with pytest.raises(ValueError, match="at least one run"):
        simulation.run([])
    with pytest.raises(ValueError, match=r"ends in \.fst or \.vcd, not 'waves\.png'"):
        Simulation("", word_bits=8, lanes=1, waves=tmp_path / "waves.png")
    with pytest.raises(ValueError, match=r"row of at least one word, not of shape \(0,\)"):
        Run(program[:0], image)
    with pytest.raises(ValueError, match="program must be of type uint64, not int64"):
        Run(program.astype(np.int64), image)
    with pytest.raises(ValueError, match=r"shape \(beats, lanes\), not \(240,\)"):
        Run(program, image.ravel())
    with pytest.raises(ValueError, match="image must be of type uint8, not int8"):
        Run(program, image.astype(np.int8))
    with pytest.raises(ValueError, match=r"limit must be in 0 to 2\*\*32 - 1 cycles, not -1"):
        Run(program, image, limit=-1)
    with pytest.raises(ValueError, match=r"stall probability of image .* not 1"):
        Stalls(image=1)
