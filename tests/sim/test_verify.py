import re
from dataclasses import replace

import numpy as np
import pytest
from rtl_helpers import with_lower_limit

from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import infer, infer_layers
from hiddenite.golden.network import Conv, Input, Network
from hiddenite.rtl.configuration import PRESETS
from hiddenite.rtl.verilog import generate
from hiddenite.sim.simulation import Stalls
from hiddenite.sim.verify import Difference, verify

TINY = PRESETS["tiny"]
HANG = 251

# Around the real engine: a result that never comes for some images, and a wrong one in every run
# but the first after a reset.
WRAPPER = f"""
module hiddenite(
    input clk, input rst,
    input [{TINY.program_bits}:0] program__payload, input program__valid, output program__ready,
    input [{8 * TINY.post_lanes}:0] image__payload, input image__valid, output image__ready,
    output [{32 * TINY.post_lanes}:0] result__payload, output result__valid, input result__ready,
    output [1:0] status__state, output [3:0] status__error, output [15:0] status__layer
);
    reg hang, again;
    wire valid;
    wire [{32 * TINY.post_lanes}:0] payload;
    assign result__valid = valid & ~hang;
    assign result__payload = payload ^ again;
    always @(posedge clk) begin
        if (image__valid && image__ready && image__payload[7:0] == {HANG}) hang <= 1;
        if (result__valid && result__ready && payload[{32 * TINY.post_lanes}]) again <= 1;
        if (rst) begin
            hang <= 0;
            again <= 0;
        end
    end
    engine inner(
        .clk(clk), .rst(rst), .program__payload(program__payload),
        .program__valid(program__valid), .program__ready(program__ready),
        .image__payload(image__payload), .image__valid(image__valid), .image__ready(image__ready),
        .result__payload(payload), .result__valid(valid), .result__ready(result__ready & ~hang),
        .status__state(status__state), .status__error(status__error), .status__layer(status__layer)
    );
endmodule
"""


def conv(rng, name, source, channels, out_channels, scale, shift, **options):
    return Conv(
        name=name,
        input=source,
        index=len(name),
        out_channels=out_channels,
        kernel=3,
        padding=1,
        mask=rng.random((out_channels, 3, 3, channels)) < 0.5,
        scale=np.full(out_channels, scale, np.int16),
        bias=np.zeros(out_channels, np.int32),
        shift=shift,
        **options,
    )


@pytest.fixture(scope="module")
def network():
    """The first layer's outputs are small, many of the second's are clipped to 255."""
    rng = np.random.default_rng(1)
    layers = [
        conv(rng, "small", "image", 2, 6, 1, 6),
        conv(rng, "clipped", "small", 6, 6, 900, 5),
        conv(rng, "sum", "clipped", 6, 3, 1, 1, output="int32"),
    ]
    image = Input(name="image", height=5, width=4, channels=2)
    return Network(name="test", seed=3, input=image, layers=layers)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).integers(0, HANG, (4, 5, 4, 2)).astype(np.uint8)


@pytest.fixture(scope="module")
def clip_too_low(tiny_verilog):
    """Hardware whose outputs end at 254."""
    return with_lower_limit(tiny_verilog)


@pytest.fixture(scope="module")
def tiny_verilog(engines):
    return engines.verilog(TINY)


@pytest.fixture(scope="module")
def wrapped(tiny_verilog):
    text, count = re.subn(r"module hiddenite\(", "module engine(", tiny_verilog)
    assert count == 1
    return text + WRAPPER


def test_equal(network, images, tiny_verilog):
    steps = []
    found = verify(
        network, images, TINY, verilog=tiny_verilog, progress=lambda *step: steps.append(step)
    )
    assert found.equal and found.difference is None
    np.testing.assert_array_equal(found.results, infer(network, images))
    assert found.results.dtype == np.int32
    assert found.statistics.cycles == found.cycles.sum() and (found.cycles > 0).all()
    assert found.statistics.cycles_per_second > 0
    assert 0 < found.utilisation < 1
    # Each step begins with nothing and ends with all, once.
    names = list(dict.fromkeys(step for step, _, _ in steps))
    assert names[-2:] == ["build the simulator", "simulate"]
    for name in names:
        mine = [(done, total) for step, done, total in steps if step == name]
        assert mine[0][0] == 0 and [done == total for done, total in mine].count(True) == 1


def test_uint8_result_and_stalls(network, images, tiny_verilog):
    prefix = network.prefix("clipped")
    plain = verify(prefix, images, TINY, verilog=tiny_verilog)
    stalled = verify(
        prefix, images, TINY, verilog=tiny_verilog, stalls=Stalls(0.5, 0.5, 0.9, seed=2)
    )
    for found in (plain, stalled):
        assert found.equal and found.results.dtype == np.uint8
        np.testing.assert_array_equal(found.results, infer(prefix, images))
    assert (stalled.cycles > plain.cycles).all()


def test_generates_the_verilog_itself(network, images, tiny_verilog, monkeypatch):
    made = []
    monkeypatch.setattr("hiddenite.sim.verify.generate", lambda c: made.append(c) or tiny_verilog)
    assert verify(network, images[:1], TINY).equal
    assert made == [TINY]


def test_batches(network, images, tiny_verilog, monkeypatch):
    monkeypatch.setattr("hiddenite.sim.verify._PROCESS_RUNS", 3)
    counts = []

    def progress(step, done, total):
        if step == "simulate":
            counts.append((done, total))

    found = verify(network, images, TINY, verilog=tiny_verilog, progress=progress)
    np.testing.assert_array_equal(found.results, infer(network, images))
    assert counts[0] == (0, 4) and counts[-1] == (4, 4) and (3, 4) in counts
    assert found.statistics.cycles == found.cycles.sum()


def test_broken_hardware_names_the_first_element(network, images, clip_too_low):
    layer = infer_layers(network, images[:1], ["clipped"])["clipped"][0]
    y, x, channel = map(int, np.argwhere(layer == 255)[0])
    found = verify(network, images, TINY, verilog=clip_too_low)
    assert not found.equal
    assert found.difference == Difference(
        image=0, layer="clipped", y=y, x=x, channel=channel, expected=255, got=254
    )
    assert str(found.difference) == (
        f"image 0: layer 'clipped' differs first at y {y}, x {x}, channel {channel}:"
        " expected 255, got 254"
    )


def test_first_wrong_image(network, images, clip_too_low):
    # A black image has no output of 255, and nothing has in the first layer.
    images = np.concatenate([np.zeros_like(images[:1]), images])
    assert verify(network.prefix("small"), images, TINY, verilog=clip_too_low).equal
    found = verify(network.prefix("clipped"), images, TINY, verilog=clip_too_low)
    assert (found.difference.image, found.difference.layer) == (1, "clipped")


def test_error_state(network, images):
    other = replace(TINY, tile_words=512)
    found = verify(network, images, TINY, verilog=generate(other))
    assert str(found.difference) == (
        "image 0: layer 'image': the hardware stopped with error CONFIGURATION"
    )
    assert found.difference.y is None and found.difference.recurs


def test_hardware_that_never_ends(network, images, wrapped):
    images = images[:2].copy()
    images[0, 0, 0, 0] = HANG
    found = verify(network, images, TINY, verilog=wrapped)
    assert re.fullmatch(
        r"image 0: layer 'small': the hardware was still in state RUNNING after \d+ cycles",
        str(found.difference),
    )


def test_wrong_only_after_other_images(network, images, wrapped):
    assert verify(network, images[:1], TINY, verilog=wrapped).equal
    found = verify(network, images, TINY, verilog=wrapped)
    difference = found.difference
    assert (difference.image, difference.layer) == (1, "sum")
    assert (difference.y, difference.x, difference.channel) == (0, 0, 0)
    assert difference.got == difference.expected ^ 1
    assert not difference.recurs
    assert str(difference).endswith("; by itself, after a reset, the image is right")


def test_waves_stay_those_of_the_images(network, images, clip_too_low, tmp_path, icarus_only):
    waves = tmp_path / "a.vcd"
    found = verify(
        network.prefix("clipped"),
        images,
        TINY,
        verilog=clip_too_low,
        simulator="icarus",
        waves=waves,
    )
    assert not found.equal
    with waves.open() as file:
        end = max(int(line[1:]) for line in file if line.startswith("#"))
    # Two time steps a cycle, and some more for the reset.
    assert end >= 2 * found.cycles.sum()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((0, 5, 4, 2), np.uint8), "images for network 'test' must be at least one, not 0"),
        (
            np.zeros((1, 5, 4, 3), np.uint8),
            "images for network 'test' must be uint8 of shape (N, 5, 4, 2),"
            " not uint8 of shape (1, 5, 4, 3)",
        ),
    ],
)
def test_refused_images(network, bad, message):
    with pytest.raises(InputError, match=re.escape(message)):
        verify(network, bad, TINY)


def test_refused_number_of_images_with_waves(network, images, tmp_path, monkeypatch):
    monkeypatch.setattr("hiddenite.sim.verify._PROCESS_RUNS", 3)
    with pytest.raises(InputError, match="waveforms can be written of up to 3 images, not 4"):
        verify(network, images, TINY, waves=tmp_path / "a.vcd")
