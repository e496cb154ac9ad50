from dataclasses import replace

import numpy as np
import pytest
from rtl_helpers import CONFIGURATIONS, network_of

from hiddenite.compiler.lowering.upsample import factors, spread
from hiddenite.compiler.schedule import schedule
from hiddenite.golden.network import MaxPool, Upsample
from hiddenite.rtl.program.packets import Operation

C = CONFIGURATIONS["square"]


@pytest.mark.parametrize("banks", [1, 2, 4, 8, 16])
def test_every_lane_takes_the_pixel_that_it_repeats(banks):
    """In all rows of banks of a long line."""
    for factor in range(1, 17):
        for turn in range(factor):
            found = spread(banks, factor, turn)
            if found is None:
                assert banks > 2 and factor > 2
                continue
            for lane in range(banks):
                taps = [
                    tap
                    for tap in range(found.taps)
                    if 0 <= found.first + tap * found.step + lane < found.size
                ]
                assert len(taps) == 1
                at = taps[0] - found.before + lane
                for further in range(3):
                    position = (turn + further * factor) * banks + lane
                    assert further * banks + at == position // factor


def test_what_one_pass_does():
    def one_pass(banks):
        return [n for n in range(1, 17) if all(spread(banks, n, turn) for turn in range(n))]

    assert one_pass(1) == one_pass(2) == [*range(1, 17)]
    assert one_pass(4) == [1, 2, 4, 6, 8, 10, 12, 14, 16]
    assert {1, 2, 8, 16} <= set(one_pass(8))


def test_factors_of_several_passes():
    assert sorted(factors(1, 4)) == [[2, 2], [4]]
    assert sorted(factors(2, 6)) == [[2, 3], [3, 2], [6]]
    assert factors(4, 1) == [[]]
    assert factors(4, 3) == []
    assert [2, 2] in factors(8, 4)


def stages_of(c, factor, shape=(5, 7, 6), *more):
    layers = [Upsample(name="u", input="image", factor=factor), *more]
    return schedule(network_of(shape, *layers), replace(c, activation_words=1 << 12))


def test_a_stage_for_each_row_of_banks():
    stages, plan = stages_of(C, 2)
    assert [stage.kind for stage in stages] == ["load", *["upsample"] * 4, "copy"]
    assert all(stage.operation is Operation.MAX_POOL for stage in stages[1:])
    # Of 10 x 14 pixels in 5 x 7 rows of banks: 3 and 2 of the ones, 4 and 3 of the others.
    assert [stage.shape for stage in stages[1:-1]] == [
        (6, 8, 6), (6, 6, 6), (4, 8, 6), (4, 6, 6)
    ]  # fmt: skip
    assert [stage.kernel for stage in stages[1:-1]] == [(2, 2)] * 4
    assert stages[-1].shape == (10, 14, 6) and stages[-1].target is None
    assert [tensor.name for tensor in plan.tensors] == ["image", "u"]
    assert plan.tensors[1].writes == (1, 2, 3, 4)


def test_the_last_row_of_banks_may_not_be_full():
    stages, _ = stages_of(C, (1, 3), (1, 3, 4))
    # 9 pixels in 5 rows of banks of two: the first and the fourth, and so on.
    assert [stage.shape for stage in stages[1:-1]] == [(1, 4, 4), (1, 3, 4), (1, 2, 4)]
    assert [stage.kernel[1] for stage in stages[1:-1]] == [2, 1, 2]


def test_fewer_rows_of_banks_than_stages():
    stages, _ = stages_of(C, (1, 5), (1, 1, 4))
    assert [stage.shape for stage in stages[1:-1]] == [(1, 2, 4), (1, 2, 4), (1, 1, 4)]


def test_large_factors_in_several_passes():
    """Where a pass of many stages takes longer than two of few."""
    stages, plan = stages_of(CONFIGURATIONS["single"], 16, (1, 1, 1))
    assert len(stages) < 2 + 16 * 16
    assert [t.name for t in plan.tensors][1:-1] == ["part of u"] * (len(plan.tensors) - 2)
    assert len(plan.tensors) > 2
    assert plan.tensors[-1].layout.shape == (16, 16, 1)


def test_a_strided_reader_has_a_copy():
    pool = MaxPool(name="p", input="u", kernel=2)
    stages, plan = stages_of(C, 2, (5, 7, 6), pool)
    assert [stage.kind for stage in stages][-2:] == ["copy", "max_pool"]
    assert [tensor.layout.phases for tensor in plan.tensors] == [(1, 1), (1, 1), (2, 2)]


def test_every_word_is_written_once():
    stages, _ = stages_of(C, (3, 2))
    written = np.zeros(1 << 12, int)
    for stage in stages[1:-1]:
        layout = stage.target.layout
        for row in np.ndindex(layout.rows):
            at = stage.target.address + np.dot(row, layout.row_steps)
            written[at : at + layout.groups] += 1
    u = stages[-1].source
    assert (written[u.address : u.address + u.layout.words] == 1).all()
    assert written.sum() == u.layout.words
