import dataclasses

import numpy as np
import pytest
from memory_model import MemoryModel
from random_joins import random_joined_network
from random_networks import random_network, random_residual_network
from rtl_helpers import CONFIGURATIONS, network_of, random_conv

from hiddenite.compiler.layout import PLAIN, Form
from hiddenite.compiler.schedule import schedule
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import MaxPool
from hiddenite.rtl.program.packets import Operation

C = CONFIGURATIONS["square"]


def pool(name, source, stride=1, kernel=1, **fields):
    return MaxPool(name=name, input=source, kernel=kernel, stride=stride, **fields)


def names(stages):
    return [(stage.name, stage.operation.name) for stage in stages]


def test_layers_in_order():
    rng = np.random.default_rng(1)
    network = network_of((6, 6, 3), pool("a", "image", 2, 2), random_conv(rng, 3, 4, input="a"))
    stages, plan = schedule(network, C)
    assert names(stages) == [("image", "LOAD"), ("a", "MAX_POOL"), ("conv", "CONV")]
    assert [stage.shape for stage in stages] == [(6, 6, 3), (3, 3, 3), (3, 3, 4)]
    image, first, last = stages
    assert image.target == first.source and first.target == last.source
    assert last.target is None and image.source is None
    # The image in four planes of 3x3 pixels, which take 2x2 words of each bank; then the pool.
    assert (image.target.address, image.target.layout.words) == (0, 16)
    assert (first.target.address, first.target.layout.words) == (16, 4)
    assert plan.used == 20


def test_layers_that_the_result_does_not_need_are_left_out():
    network = network_of((4, 4, 2), pool("a", "image"), pool("b", "image"), pool("c", "a"))
    assert [name for name, _ in names(schedule(network, C)[0])] == ["image", "a", "c"]


def test_a_tensor_of_several_strides_is_copied():
    conv = random_conv(np.random.default_rng(1), 4, 4, input="a", residual="c", residual_scale=1)
    a, b, c = pool("a", "image", 2, 2), pool("b", "image"), pool("c", "b", 2, 2)
    stages, _ = schedule(network_of((9, 9, 4), a, b, c, conv), C)
    assert names(stages) == [
        ("image", "LOAD"),
        ("image", "MAX_POOL"),
        ("a", "MAX_POOL"),
        ("b", "MAX_POOL"),
        ("c", "MAX_POOL"),
        ("conv", "CONV"),
    ]
    load, copy, first, second, third, last = stages
    assert copy.layer is None and copy.source == load.target
    assert (load.target.layout.phases, copy.target.layout.phases) == ((1, 1), (2, 2))
    assert first.source == copy.target and second.source == load.target
    assert last.residual == third.target


@pytest.mark.parametrize(
    ("kernel", "padding", "first_only"),
    [(1, 0, (True, True)), ((1, 3), (0, 1), (True, False)), (3, 1, (False, False))],
)
def test_only_planes_that_are_read_are_stored(kernel, padding, first_only):
    a, b = pool("a", "image"), pool("b", "image", 2, kernel, padding=padding)
    c = adding("c", "a", "b", stride=2)
    stages, _ = schedule(network_of((9, 9, 4), a, b, c), C)
    assert names(stages)[2] == ("image", "MAX_POOL")
    forms = [stage.target.layout.form for stage in stages[:4]]
    assert forms == [PLAIN, Form((2, 2), (True, True)), Form((2, 2), first_only), PLAIN]


def test_readers_of_one_stride_share_a_form():
    """Also where one of them reads fewer planes."""
    a, b = pool("a", "image", 2), pool("b", "image", 2, 3, padding=1)
    stages, _ = schedule(network_of((9, 9, 4), a, b, adding("c", "a", "b")), C)
    assert names(stages)[:2] == [("image", "LOAD"), ("a", "MAX_POOL")]
    assert stages[0].target.layout.form == Form((2, 2))


def test_strides_along_an_axis_with_one_bank_take_neither_planes_nor_copies():
    a, b = pool("a", "image", (2, 3)), pool("b", "image")
    mean = pool("c", "b", (2, 3)), adding("d", "a", "c")
    for name, phases in (("single", [(1, 1)]), ("tall", [(1, 1), (2, 1)])):
        stages, _ = schedule(network_of((9, 9, 4), a, b, *mean), CONFIGURATIONS[name])
        copies = [stage.name for stage in stages if stage.layer is None][1:]
        assert copies == ["image"] * (name == "tall")
        targets = [stage.target for stage in stages if stage.target is not None]
        assert {target.layout.phases for target in targets} == set(phases)
        assert [stage.stride for stage in stages if stage.name == "a"] == [(2, 3)]


def test_a_tensor_of_one_stride_is_not_copied():
    stages, _ = schedule(network_of((9, 9, 4), pool("a", "image", (2, 3))), C)
    assert names(stages) == [("image", "LOAD"), ("a", "MAX_POOL")]
    assert stages[0].target.layout.phases == (2, 3)


def test_a_window_that_does_not_move_has_no_stride():
    stages, _ = schedule(network_of((3, 9, 4), pool("a", "image", (3, 3), 3)), C)
    assert stages[1].stride == (1, 3)
    assert stages[0].target.layout.phases == (1, 3)


def check_memory(network, c):
    """Each read finds what was stored, whatever came between; return stages and plan."""
    stages, plan = schedule(network, c)
    for late in (False, True):
        MemoryModel(network, c, late).run(stages)
    for stage in stages:
        # What a conv reads besides does not count, wherever it lies.
        for placed in (
            stage.source if not stage.input_step else None,
            stage.residual,
            stage.target,
        ):
            if placed is not None:
                assert 0 <= placed.address <= plan.used - placed.layout.extent
    return stages, plan


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_nothing_is_overwritten_that_is_still_read(name):
    c = dataclasses.replace(CONFIGURATIONS[name], activation_words=1 << 12)
    rng = np.random.default_rng(3)
    for _ in range(20):
        network = random_network(rng, max_weights=300, max_layers=8, max_pixels=80)
        stages, _ = check_memory(network, c)
        assert stages[-1].name == network.layers[-1].name
        assert [s.operation for s in stages].count(Operation.LOAD) == 1


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_residual_networks_are_stored_right(name):
    c = dataclasses.replace(CONFIGURATIONS[name], activation_words=1 << 12)
    rng = np.random.default_rng(4)
    over = 0
    for _ in range(12):
        _, plan = check_memory(random_residual_network(rng), c)
        over += sum(tensor.over is not None for tensor in plan.tensors)
    assert over > 5


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_joined_tensors_are_stored_right(name):
    c = dataclasses.replace(CONFIGURATIONS[name], activation_words=1 << 12)
    rng = np.random.default_rng(5)
    kinds, taken = set(), 0
    while taken < 15:
        network = random_joined_network(rng, word=c.ich, max_weights=1500, max_pixels=60)
        try:
            stages, plan = check_memory(network, c)
        except InputError as error:
            assert "for the hardware" in str(error)
            continue
        taken += 1
        kinds |= {stage.kind for stage in stages}
        kinds |= {"inside" for tensor in plan.tensors if tensor.inside is not None}
    assert kinds >= {"add", "upsample", "copy", "inside"}
    assert ("concat" in kinds) == (c.ich > 1)


def adding(name, source, residual, channels=4, **fields):
    """A conv with a residual."""
    fields |= {"name": name, "input": source, "residual": residual, "residual_scale": 1}
    return random_conv(np.random.default_rng(1), channels, channels, **fields)


def over(*layers):
    """Name of each tensor that is written over another one, and that one's."""
    _, plan = schedule(network_of((8, 8, 4), *layers), C)
    pairs = [(t.name, plan.tensors[t.over].name) for t in plan.tensors if t.over is not None]
    for number, tensor in enumerate(plan.tensors):
        if tensor.over is not None:
            assert plan.addresses[number] == plan.addresses[tensor.over]
    return pairs


def test_an_output_is_written_over_its_residual():
    a, b, c = pool("a", "image"), adding("b", "a", "image"), adding("c", "a", "b")
    assert over(a, b, c, pool("d", "c")) == [("b", "image"), ("c", "b")]
    # Three tensors at once, in the place of two.
    assert schedule(network_of((8, 8, 4), a, b, c, pool("d", "c")), C)[1].used == 2 * 16


@pytest.mark.parametrize(
    "layers",
    [
        # Something reads the residual later.
        (pool("a", "image"), adding("b", "a", "image"), adding("c", "b", "image")),
        # The input is the residual.
        (adding("a", "image", "image"), pool("b", "a")),
        # The output is stored for a stride.
        (pool("a", "image"), adding("b", "a", "image"), pool("c", "b", 2, 2)),
        # The output is the result.
        (pool("a", "image"), adding("b", "a", "image")),
    ],
)
def test_a_residual_that_is_not_written_over(layers):
    assert over(*layers) == []


def test_memory_is_used_again():
    layers = [pool(str(n), str(n - 1) if n else "image") for n in range(9)]
    _, plan = schedule(network_of((8, 8, 4), *layers), C)
    assert plan.used == 2 * 16


def test_a_network_without_room_is_refused():
    image, output = (16, 16, 64), (16, 16, 8)
    with pytest.raises(InputError) as caught:
        schedule(network_of(image, pool("a", "image")), dataclasses.replace(C, activation_words=16))
    assert str(caught.value) == (
        "tensor 'image': activation memory: needs 1024 words in each bank, has 16: "
        "raise activation_words"
    )
    layers = pool("a", "image"), pool("b", "a")
    with pytest.raises(InputError) as caught:
        schedule(network_of(output, *layers), dataclasses.replace(C, activation_words=128))
    assert str(caught.value) == (
        "layer 'a': activation memory: needs 256 words in each bank, has 128: "
        "raise activation_words"
    )
