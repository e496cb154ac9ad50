"""Each operator by itself, between an image and a result."""

import numpy as np
import onnx
import pytest
from importer_checks import compare
from importer_models import Model

from hiddenite.golden.network import MaxPool, Upsample
from hiddenite.importer import convert

RNG = np.random.default_rng(5)
_START = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def same_numbers():
    """Each test draws the same numbers, whatever ran before it."""
    RNG.bit_generator.state = _START


def signs(*shape):
    return np.sign(RNG.normal(size=shape)) + 0.0


class Small(Model):
    """A model of images of 3 x 6 x 8 whose first conv is there."""

    def __init__(self, shape=(3, 6, 8), **options):
        super().__init__(shape, **options)
        # Sums of it are exact in float32, so that no rounding decides.
        self.image = self.node("Mul", "image", np.float32(1 / 128))

    def first(self, channels=4, scale=0.25, bits=2):
        """Return a quantised map of some channels, with 0 the lowest of its levels."""
        x = self.node("Conv", self.image, signs(channels, self.shape[0], 3, 3), pads=[1, 1, 1, 1])
        x = self.node("Relu", x)
        return self.quant(x, scale, bits, signed=0)

    def classes(self, x, features, count=5):
        """Return results of a map."""
        x = self.node("Flatten", x)
        return self.node("MatMul", x, signs(features, count))


def check(made, x, features, tmp_path, **options):
    return compare(made, made.classes(x, features), tmp_path, **options)


@pytest.mark.parametrize(
    "node",
    [
        ("Mul", 0.3),
        ("Mul", -0.3),
        ("Div", 1.7),
        ("Add", -0.4),
        ("Sub", 0.4),
        ("Neg",),
        ("Relu",),
        ("Clip", -0.5, 0.75),
        ("Identity",),
        ("Dropout",),
        ("PRelu", 0.25),
    ],
    ids=lambda node: "-".join(map(str, node)),
)
def test_functions_before_a_quantiser(tmp_path, node):
    made = Small()
    op, *constants = node
    x = made.node("Conv", made.image, signs(4, 3, 3, 3))
    x = made.node(op, x, *map(np.float32, constants))
    check(made, made.quant(x, 0.5, 2, narrow=1), 4 * 4 * 6, tmp_path)


def test_attributes_of_functions(tmp_path):
    made = Small(opset=9)
    x = made.node("Conv", made.image, signs(4, 3, 3, 3))
    x = made.node("LeakyRelu", x, alpha=0.1)
    x = made.node("Clip", x, min=-1.0, max=2.0)
    x = made.node("Cast", x, to=1)
    check(made, made.quant(x, 0.5, 3), 4 * 4 * 6, tmp_path)


def test_constant_less_a_value(tmp_path):
    made = Small()
    x = made.node("Conv", made.image, signs(4, 3, 3, 3))
    x = made.node("Sub", RNG.normal(size=(4, 1, 1)), x)
    check(made, made.quant(x, 0.5, 2), 4 * 4 * 6, tmp_path)


def test_functions_after_a_quantiser(tmp_path):
    """They change what codes stand for, and no layer is made of them."""
    made = Small()
    x = made.node("Add", made.node("Mul", made.first(), np.float32(-2.5)), np.float32(0.3))
    imported = check(made, x, 4 * 6 * 8, tmp_path)
    assert imported.network.layers[-1].input == imported.ways[-1].layers[-1]


@pytest.mark.parametrize(
    "mode", ["ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "HALF_EVEN"]
)
def test_roundings(tmp_path, mode):
    """The scales are powers of two: many accumulators lie on a tie."""
    made = Small()
    x = made.quant("image", 1, 8, signed=0)
    x = made.node("Conv", x, signs(4, 3, 2, 2), pads=[1, 0, 0, 1])
    x = made.quant(x, 64, 3, rounding_mode=mode)
    imported = check(made, x, 4 * 6 * 8, tmp_path)
    assert all(way.near == 0 for way in imported.ways)


def test_steps_of_their_own(tmp_path):
    """What no scale does: a channel for each step, with padding after it."""
    made = Small()
    x = made.node("Conv", made.image, signs(4, 3, 3, 3))
    thresholds = np.array([[-2, -1.5, 1, 3], [0, 0.1, 0.2, 4], [1, 2, 3, 4], [-9, 0, 0, 9]], float)
    x = made.node("MultiThreshold", x, thresholds, out_dtype="INT3", out_bias=-1.0)
    x = made.node("Conv", x, signs(4, 4, 3, 3), pads=[1, 1, 1, 1])
    x = made.node("BipolarQuant", x, np.float32(1))
    imported = check(made, x, 4 * 4 * 6, tmp_path)
    assert imported.ways[0].layers == ("MultiThreshold_2.steps", "MultiThreshold_2")


def test_thresholds_along_the_last_axis(tmp_path):
    made = Small()
    x = made.node("Conv", made.image, signs(4, 3, 3, 3))
    x = made.node("Transpose", x, perm=[0, 2, 3, 1])
    thresholds = np.array([[0.5, 1.0]])
    x = made.node("MultiThreshold", x, thresholds, out_dtype="UINT2", data_layout="NHWC")
    check(made, x, 4 * 4 * 6, tmp_path)


@pytest.mark.parametrize("range_", [(-1, 1), (0, 1), (-1, 3)], ids=str)
def test_padding_of_a_bipolar_map(tmp_path, range_):
    """0 lies between the two levels, and is stored for the conv that pads."""
    made = Small()
    x = made.node("BipolarQuant", "image", np.float32(0.5))
    x = made.node("Conv", x, signs(4, 3, 3, 3), pads=[1, 1, 1, 1])
    x = made.node("BipolarQuant", x, np.float32(1))
    x = made.node("Conv", x, signs(4, 4, 3, 3), pads=[0, 2, 1, 0])
    x = made.node("BipolarQuant", x, np.float32(1))
    check(made, x, 4 * 5 * 8, tmp_path, image_range=range_)


def test_padding_of_an_image_whose_middle_is_0(tmp_path):
    """Its bytes beside what is left to 255: their difference is 0 where both are padded."""
    made = Small()
    x = made.node("Conv", "image", signs(4, 3, 3, 3), np.full(4, 0.001), pads=[1, 1, 1, 1])
    x = made.quant(x, 1, 2)
    imported = check(made, x, 4 * 6 * 8, tmp_path, image_range=(-1, 1))
    assert imported.network.layers[0].name == "image.halves"


def test_padding_of_groups_of_such_an_image(tmp_path):
    made = Small((4, 6, 8))
    weights = np.array([1, 2, -1, 0.0])[RNG.integers(0, 4, (6, 2, 3, 3))]
    x = made.node("Conv", "image", weights, np.full(6, 0.001), pads=[1, 1, 1, 1], group=2)
    check(made, made.quant(x, 1, 2), 6 * 6 * 8, tmp_path, image_range=(-1, 1))


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("signed", [0, 1])
def test_bits_of_activations(tmp_path, bits, signed):
    made = Small()
    x = made.node("Conv", made.image, signs(4, 3, 3, 3))
    x = made.node("Add", x, RNG.normal(size=(1, 4, 1, 1)))
    x = made.quant(x, 4 / 2**bits, bits, signed=signed)
    check(made, x, 4 * 4 * 6, tmp_path)


@pytest.mark.parametrize("bits", [5, 6, 7, 8])
def test_more_bits_of_activations(tmp_path, bits):
    """No two accumulators lie further apart than a level."""
    made = Small()
    x = made.quant(made.image, 1, 1, signed=0)
    x = made.node("Conv", x, signs(4, 3, 2, 2))
    x = made.quant(x, 1, bits)
    check(made, x, 4 * 5 * 7, tmp_path)


@pytest.mark.parametrize("largest", [2, 3])
def test_larger_weights(tmp_path, largest):
    made = Small()
    weights = RNG.integers(-2, largest + 1, (4, 3, 3, 3)) * 0.25
    weights[0, 0, 0, :2] = 0.25, 0.5
    x = made.node("Conv", made.image, weights)
    check(made, made.quant(x, 0.5, 2), 4 * 4 * 6, tmp_path)


def test_scales_of_weights_of_each_channel(tmp_path):
    made = Small()
    weights = signs(4, 3, 3, 3) * np.array([0.125, 0.375, 1, 2]).reshape(4, 1, 1, 1)
    weights[2] *= RNG.integers(0, 2, (3, 3, 3))
    x = made.node("Conv", made.image, weights, np.array([0.1, -0.2, 0.3, 0]))
    check(made, made.quant(x, 0.5, 2), 4 * 4 * 6, tmp_path)


def test_steps_that_rounding_decides(tmp_path):
    """Sums of 0.3 have errors in float32 that depend on their order; some lie on a step."""
    near = []
    for scale in (0.25, 0.3):
        made = Small()
        x = made.node("Conv", made.image, signs(4, 3, 3, 3) * scale)
        x = made.classes(made.quant(x, 3 * scale, 2), 4 * 4 * 6)
        onnx.save(made.build(x), str(tmp_path / "model.onnx"))
        imported = convert(tmp_path / "model.onnx", image_range=(0, 255))
        near.append(sum(way.near for way in imported.ways))
    assert near[0] == 0 < near[1]


def test_channel_without_weights(tmp_path):
    made = Small()
    weights = signs(4, 3, 3, 3)
    weights[1] = 0
    x = made.node("Conv", made.image, weights, np.array([0.0, 0.7, 0, 0]))
    check(made, made.quant(x, 0.5, 2), 4 * 4 * 6, tmp_path)


@pytest.mark.parametrize("automatic", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_automatic_padding(tmp_path, automatic):
    made = Small((3, 7, 8))
    x = made.node("Conv", made.image, signs(4, 3, 2, 3), strides=[2, 2], auto_pad=automatic)
    height, width = (3, 3) if automatic == "VALID" else (4, 4)
    check(made, made.quant(x, 0.5, 2), 4 * height * width, tmp_path)


def test_depthwise(tmp_path):
    made = Small()
    x = made.node(
        "Conv", made.image, signs(6, 1, 3, 3), group=3, dilations=[2, 1], pads=[2, 1, 2, 1]
    )
    check(made, made.quant(x, 0.5, 2), 6 * 6 * 8, tmp_path)


def test_lines(tmp_path):
    """A one-dimensional conv."""
    made = Model((3, 16))
    x = made.node("Mul", "image", np.float32(1 / 128))
    x = made.node("Conv", x, signs(4, 3, 5), np.zeros(4), pads=[2, 1], dilations=[1])
    x = made.quant(made.node("Relu", x), 0.5, 2, signed=0)
    x = made.node("MaxPool", x, kernel_shape=[2], strides=[2])
    x = made.node("MatMul", made.node("Flatten", x), signs(4 * 7, 5))
    imported = compare(made, x, tmp_path)
    assert imported.network.input.shape == (1, 16, 3)


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 0, 1, 2]], ids=str)
@pytest.mark.parametrize("first", [True, False])
def test_max_pool(tmp_path, pads, first):
    """A pool of sums is one of what is quantised later."""
    made = Small()
    x = made.node("Conv", made.image, signs(4, 3, 3, 3), pads=[1, 1, 1, 1])
    arguments = {"kernel_shape": [3, 3], "strides": [2, 1], "pads": pads}
    if first:
        x = made.quant(made.node("MaxPool", x, **arguments), 0.5, 2)
    else:
        x = made.node("MaxPool", made.quant(x, 0.5, 2), **arguments)
    features = 4 * ((6 + pads[0] + pads[2] - 3) // 2 + 1) * (8 + pads[1] + pads[3] - 2)
    imported = check(made, x, features, tmp_path)
    assert any(isinstance(layer, MaxPool) for layer in imported.network.layers)


@pytest.mark.parametrize("quantised", [True, False])
def test_averages(tmp_path, quantised):
    made = Small()
    x = made.node("AveragePool", made.first(), kernel_shape=[2, 2], strides=[2, 2])
    x = made.quant(x, 0.25, 2, signed=0)
    x = made.node("GlobalAveragePool", x)
    x = made.quant(x, 0.1, 3) if quantised else made.node("Mul", x, np.float32(0.7))
    check(made, x, 4, tmp_path)


def test_average_with_padding(tmp_path):
    made = Small()
    arguments = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}
    x = made.node("AveragePool", made.first(), **arguments)
    check(made, made.quant(x, 0.25, 2, signed=0), 4 * 6 * 8, tmp_path)


@pytest.mark.parametrize("sign", ["Add", "Sub"])
def test_two_tensors(tmp_path, sign):
    """Their steps may be twice each other's."""
    made = Small()
    one = made.first()
    x = made.node("Conv", one, signs(4, 4, 3, 3), pads=[1, 1, 1, 1])
    other = made.quant(x, 0.5, 2)
    x = made.node(sign, one, other)
    x = made.node("Mul", x, RNG.uniform(0.5, 1, (1, 4, 1, 1)))
    check(made, made.quant(x, 0.4, 2), 4 * 6 * 8, tmp_path)


def test_tensors_side_by_side(tmp_path):
    made = Small()
    one = made.first()
    x = made.node("Conv", one, signs(4, 4, 3, 3), pads=[1, 1, 1, 1])
    other = made.quant(x, 0.25, 2)
    x = made.node("Concat", one, other, one, axis=1)
    x = made.node("Conv", x, signs(4, 12, 1, 1))
    check(made, made.quant(x, 1, 2), 4 * 6 * 8, tmp_path)


@pytest.mark.parametrize("opset", [9, 11, 13])
@pytest.mark.parametrize("quantised", [True, False])
def test_upsampling(tmp_path, opset, quantised):
    made = Small(opset=opset)
    x = made.node("Conv", made.image, signs(4, 3, 3, 3))
    x = made.quant(x, 0.5, 2) if quantised else x
    scales = np.array([1, 1, 2, 3], np.float32)
    if opset == 9:
        x = made.node("Upsample", x, scales, mode="nearest")
    else:
        mode = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        x = made.node(
            "Resize",
            x,
            np.zeros(0, np.float32),
            scales,
            mode="nearest",
            **(mode if opset == 11 else {}),
        )
    x = x if quantised else made.quant(x, 0.5, 2)
    imported = check(made, x, 4 * 8 * 18, tmp_path)
    assert any(isinstance(layer, Upsample) for layer in imported.network.layers)


def test_image_with_channels_last(tmp_path):
    made = Small((6, 8, 3))
    x = made.node("Transpose", made.image, perm=[0, 3, 1, 2])
    x = made.node("Conv", x, signs(4, 3, 3, 3))
    imported = check(made, made.quant(x, 0.5, 2), 4 * 4 * 6, tmp_path, last=True)
    assert imported.network.input.shape == (6, 8, 3)


def test_flattened_with_channels_last(tmp_path):
    made = Small()
    x = made.node("Transpose", made.first(), perm=[0, 2, 3, 1])
    check(made, x, 4 * 6 * 8, tmp_path)


def test_matrix_along_channels(tmp_path):
    made = Small()
    x = made.node("Transpose", made.first(), perm=[0, 2, 3, 1])
    x = made.node("Transpose", made.node("MatMul", x, signs(4, 6)), perm=[0, 3, 1, 2])
    check(made, made.quant(x, 0.5, 2), 6 * 6 * 8, tmp_path)


@pytest.mark.parametrize("opset", [11, 13])
def test_axes_of_size_1(tmp_path, opset):
    made = Small(opset=opset)
    x = made.node("GlobalAveragePool", made.first())
    x = made.quant(x, 0.1, 3, signed=0)
    axes = np.array([2, 3])
    if opset < 13:
        x = made.node("Unsqueeze", made.node("Squeeze", x, axes=[2, 3]), axes=[2, 3])
    else:
        x = made.node("Unsqueeze", made.node("Squeeze", x, axes), axes)
    x = made.node("Reshape", x, np.array([0, -1]))
    x = made.node("Reshape", x, np.array([0, 4, 1, 1]))
    x = made.node("Conv", x, signs(5, 4, 1, 1))
    compare(made, x, tmp_path)


def test_vector_image(tmp_path):
    made = Model((20,))
    x = made.node("BipolarQuant", made.node("Sub", "image", np.float32(99.5)), np.float32(1))
    x = made.node("Gemm", x, signs(8, 20), RNG.normal(size=8), transB=1)
    x = made.node("MatMul", made.node("Sign", x), signs(8, 4))
    imported = compare(made, x, tmp_path)
    assert imported.network.input.shape == (1, 1, 20)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Sigmoid"])
def test_functions_that_are_left_to_the_host(tmp_path, op):
    made = Small()
    x = made.classes(made.first(), 4 * 6 * 8)
    x = made.node("Mul", x, np.float32(0.01))
    imported = convert_with_end(made, x, op, tmp_path)
    assert [node.op for node in imported.host] == [op]


@pytest.mark.parametrize("op", ["ArgMax", "TopK"])
def test_classes_that_are_left_to_the_host(tmp_path, op):
    made = Small()
    x = made.classes(made.first(), 4 * 6 * 8)
    if op == "ArgMax":
        made.node("ArgMax", x, axis=1)
    else:
        made.node("TopK", x, np.array([2]), axis=1, outputs=2)
    imported = convert_with_end(made, x, None, tmp_path)
    assert [node.op for node in imported.host] == [op]


def convert_with_end(made, x, op, tmp_path):
    """Import a model that ends with a node for the host; compare what comes before it."""
    plain = compare(made, x, tmp_path)
    attributes = {} if op in (None, "Sigmoid") else {"axis": 1}
    end = made.node(op, x, **attributes) if op else made.nodes[-1].output[0]
    onnx.save(made.build(end), str(tmp_path / "end.onnx"))
    imported = convert(tmp_path / "end.onnx", image_range=(0.0, 255.0))
    assert imported.network == plain.network
    return imported
