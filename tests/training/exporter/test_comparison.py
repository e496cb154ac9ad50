import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import fx, nn

from hiddenite.golden.errors import InputError
from hiddenite.golden.inference import infer_layers
from hiddenite.golden.weights import signs
from hiddenite.training.exporter import export as module
from hiddenite.training.exporter.comparison import compare
from hiddenite.training.exporter.export import export
from hiddenite.training.exporter.fold import FoldedNetwork, traced
from hiddenite.training.layers.activation import QuantizedReLU
from hiddenite.training.layers.coded import HiddenConv2d, HiddenLinear

torch.set_num_threads(1)


REMEDY = "export what fold returns, trained further"


def images(count, channels=3, height=6, width=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, height, width), generator=generator) / 255


@torch.no_grad()
def settled(model, examples):
    """Give batch normalisations the statistics of examples."""
    for norm in model.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.momentum = None
    model.train()(examples)
    return model.eval()


def classifier():
    torch.manual_seed(0)
    return settled(
        nn.Sequential(
            HiddenConv2d(3, 8, 3, padding=1, index=0),
            nn.BatchNorm2d(8),
            QuantizedReLU(),
            HiddenConv2d(8, 8, 3, padding=1, index=1),
            nn.BatchNorm2d(8),
            QuantizedReLU(),
            nn.Flatten(),
            HiddenLinear(504, 10, map_size=(9, 7), index=2),
            nn.BatchNorm1d(10),
        ),
        images(60, height=9, width=7),
    )


def test_variance_that_is_not_that_of_the_example(tmp_path):
    model = classifier()
    model[1].running_var[0] = 0
    report = export(model, tmp_path / "a", images(60, height=9, width=7))
    assert report.model_classes >= 0.95
    assert abs(int(report.network.layers[0].scale[0])) > 10_000


@pytest.mark.parametrize(
    ("bias", "reason"),
    [
        (0.0, r"its bias is rounded to whole units of its accumulator, each \S+ here"),
        # It is 255 everywhere, and the others are wrong.
        (1e9, r"its scale of \d\S* is rounded, as others are so much larger"),
    ],
)
def test_slopes_that_are_too_far_apart(bias, reason, tmp_path):
    model = classifier()
    model[1].weight.data[3], model[1].bias.data[3] = 1e4, bias
    message = (
        r": layer '0': channel \d must give \d+ as in the model, not \d+ \(image \d+, pixel"
        rf" \(\d, \d\)\): {reason}; {REMEDY}$"
    )
    with pytest.raises(InputError, match=message):
        export(model, tmp_path / "a", images(60, height=9, width=7))
    assert not list(tmp_path.iterdir())


def test_channel_that_only_late_images_use(tmp_path):
    model = classifier()
    with torch.no_grad():
        model[0].weights.scores[2] = 0
        model[0].weights.scores[2, 1, 1, 0] = 1
        model[1].running_mean[2] = model[1].running_var[2] = 0
        model[1].weight[2] = model[0].weights.sign[2, 1, 1, 0]
    examples = images(70, height=9, width=7)
    examples[:65, 0] = 0
    message = (
        r": layer '0': channel 2 must give \d+ as in the model, not \d+ \(image 6[5-9], pixel"
        r" \(\d, \d\)\): its scale is cut from -?\d+ to 30000 for the sake of others; "
    )
    message += f"{REMEDY}$"
    with pytest.raises(InputError, match=message):
        export(model, tmp_path / "a", examples)
    examples[:40, 0] = 0
    export(model, tmp_path / "a", examples.roll(10, 0))


def test_bias_that_no_integer_is(tmp_path):
    model = classifier()
    model[8].bias.data[4] = 1e7
    message = r": layer '7': channel 4 must give \S+ as in the model, not \S+ \(image \d+, pixel"
    message += rf" \(0, 0\)\): its bias is cut to 1073741824; {REMEDY}$"
    with pytest.raises(InputError, match=message):
        export(model, tmp_path / "a", images(60, height=9, width=7))


@torch.no_grad()
def thresholded(distance):
    """A model whose first activation is rounded by half of an accumulator's unit, and compared."""
    index = next(i for i in range(100) if signs(1, i, (2, 1, 1, 1)).ravel().tolist() == [1, -1])
    first = next(i for i in range(100) if signs(1, i, (1, 1, 1, 1)).ravel().tolist() == [1])
    model = nn.Sequential(
        HiddenConv2d(1, 1, 1, index=first),
        nn.BatchNorm2d(1, eps=0),
        QuantizedReLU(1.0),
        HiddenLinear(1, 2, index=index, density=1.0, bias=True),
    ).eval()
    unit = model[0].weights.gain / 255
    model[1].running_mean.fill_(100.5 * unit)
    model[1].running_var.fill_((unit / 14) ** 2)  # 14 steps for each unit of a pixel
    model[3].bias[1] = 2 * distance * model[3].weights.gain
    return model


def test_classes_that_roundings_change(tmp_path):
    pixels = np.full((6, 1, 1, 1), 101, np.uint8)
    examples = torch.from_numpy(pixels) / 255  # 7 steps in the model, and 0 or 14 in the file
    network = export(thresholded(100), tmp_path / "a", examples).network
    found = infer_layers(network, pixels, ["0"])["0"].ravel().tolist()
    assert found in ([0] * 6, [14] * 6)
    model = thresholded(3.5 if found[0] == 0 else 10.5)
    expected = model(examples).argmax(1)[0].item()
    message = (
        f"{tmp_path}/b: at least 90% of the classes must be the model's, not 0.0%: roundings add"
        f" up; image 0 gets {1 - expected}, not {expected}; {REMEDY}"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        export(model, tmp_path / "b", examples)
    # One of ten may differ, and one of three must not.
    bright = torch.ones(9, 1, 1, 1)
    report = export(model, tmp_path / "b", torch.cat([examples[:1], bright]))
    assert report.model_classes == 0.9
    with pytest.raises(InputError, match=r"must be the model's, not 66\.7%"):
        export(model, tmp_path / "b", torch.cat([examples[:1], bright[:2]]))


def test_results_that_are_nearly_equal(tmp_path):
    model = nn.Sequential(HiddenConv2d(3, 3, 1, index=0), nn.BatchNorm2d(3), nn.Flatten()).eval()
    nn.init.zeros_(model[1].weight)
    model[1].bias.data = torch.tensor([1.0, 1.0 + 1e-6, 0.0])
    message = "only 0.0% of the classes are the model's: its results are so nearly equal that"
    with pytest.warns(UserWarning, match=f"^{message} rounding them decides$"):
        assert export(model, tmp_path / "a", images(6, 3, 1, 1)).model_classes == 0
    # As near, but not beside how far results are apart.
    model[1].bias.data[2] = 1.0
    with pytest.raises(InputError, match=r"must be the model's, not 0\.0%"):
        export(model, tmp_path / "a", images(6, 3, 1, 1))


class Late(nn.Module):
    """Does what no trace sees, and for bright images alone."""

    def __init__(self):
        super().__init__()
        self.conv = HiddenConv2d(3, 2, 3, index=0)

    def forward(self, x):
        bright = not isinstance(x, fx.Proxy) and bool((x == 1).any())
        return self.conv(x) + (1 if bright else 0)


def test_what_the_model_does_with_late_images(tmp_path):
    examples = images(70).clamp(max=254 / 255)
    export(Late(), tmp_path / "a", examples)
    examples[66, 0, 0, 0] = 1.0
    message = (
        f"{tmp_path}/b: model Late: forward must do what torch.fx traced, not give NUMBER and"
        " NUMBER there: leave out what the trace cannot see, such as a context or a branch"
    )
    pattern = re.escape(message).replace("NUMBER", r"-?\d\S*")
    with pytest.raises(InputError, match=f"^{pattern}$"):
        export(Late(), tmp_path / "b", examples)


def test_in_batches(tmp_path):
    model, examples = classifier(), images(11, height=9, width=7)
    network = export(model, tmp_path / "a", examples).network
    model, graph, examples = traced(model, examples, 1 / 255)
    folded = FoldedNetwork(graph)
    whole = compare(model, graph, folded, network, examples, 11)
    assert compare(model, graph, folded, network, examples, 3) == whole
    folded.layers[1].bias.data[5] += 100
    message = r"^layer '3': channel 5 must give .* \(image (\d+), pixel .*\): the model does not do"
    for batch in (3, 11):
        with pytest.raises(InputError, match=message):
            compare(model, graph, folded, network, examples, batch)


def test_a_wrong_pooling_is_seen(monkeypatch):
    model = nn.Sequential(nn.AvgPool2d(2), QuantizedReLU(1 / 255)).eval()
    model, graph, examples = traced(model, images(3), 1 / 255)
    folded = FoldedNetwork(graph)
    network = module.to_network(folded)
    compare(model, graph, folded, network, examples, 3)
    folded.layers[0].scale *= 2
    message = (
        r"^layer '0': channel \d must give \d+ as in the model, not \d+ \(image \d, pixel \(\d,"
        r" \d\)\): the model does not do there what its trace says; "
    )
    message += f"{REMEDY}$"
    with pytest.raises(InputError, match=message):
        compare(model, graph, folded, network, examples, 3)
