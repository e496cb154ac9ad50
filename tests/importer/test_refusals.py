"""What is refused: one line each that names the node or tensor, the rule and the value."""

import numpy as np
import onnx
import pytest
from importer_models import Model
from onnx import TensorProto, helper, numpy_helper

from hiddenite.golden.errors import InputError
from hiddenite.importer import convert

ONES = np.ones((4, 3, 3, 3))


def refusal(tmp_path, model, **options):
    path = tmp_path / "m.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    with pytest.raises(InputError) as caught:
        convert(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message.removeprefix(f"{path}: ")


def plain():
    """Return a model whose conv and quantiser can be imported, and its quantised map."""
    made = Model((3, 6, 8))
    return made, made.quant(made.node("Conv", "image", ONES), 1, 2)


# What is done to the quantised map of a model, and what is said of it.
NODES = {
    "operator": (
        lambda m, x: m.node("Erf", x),
        "node 'Erf_2' (Erf): operator is not known",
    ),
    "domain": (
        lambda m, x: m.node("Relu", x, domain="my.own"),
        "node 'Relu_2' (Relu): domain 'my.own' is not known",
    ),
    "attribute": (
        lambda m, x: m.node("Relu", x, slope=1),
        "node 'Relu_2' (Relu): attribute 'slope' is not known (there is none)",
    ),
    "weights": (
        lambda m, x: m.node("Conv", x, np.linspace(-1, 1, 36).reshape(4, 1, 3, 3), group=4),
        "node 'Conv_2' (Conv): weights of output channel 0 must be whole numbers from -3 to 3",
    ),
    "weights' channels": (
        lambda m, x: m.node("Conv", x, ONES),
        "node 'Conv_2' (Conv): weights of shape (4, 3, 3, 3) must fit 4 channels in 1 groups",
    ),
    "weights' rank": (
        lambda m, x: m.node("Conv", x, np.ones((4, 4))),
        "node 'Conv_2' (Conv): weights must have 4 axes, not the shape (4, 4)",
    ),
    "NaN": (
        lambda m, x: m.node("Mul", x, np.full((1, 4, 1, 1), np.nan)),
        "node 'Mul_2' (Mul): constant must be finite, not nan",
    ),
    "infinite weights": (
        lambda m, x: m.node("Conv", x, np.full((4, 4, 1, 1), np.inf)),
        "node 'Conv_2' (Conv): weights must be finite, not inf",
    ),
    "integers of a constant": (
        lambda m, x: m.node("Mul", x, np.array([True])),
        "node 'Mul_2' (Mul): constant must be float32, not bool",
    ),
    "constant of each pixel": (
        lambda m, x: m.node("Mul", x, np.arange(24.0).reshape(4, 6)),
        "node 'Mul_2' (Mul): constant must be the same for all pixels of a channel",
    ),
    "constant of another shape": (
        lambda m, x: m.node("Mul", x, np.ones(5)),
        "node 'Mul_2' (Mul): constant must fit the shape (1, 4, 4, 6), not be of shape (5,)",
    ),
    "division": (
        lambda m, x: m.node("Div", x, np.float32(0)),
        "node 'Div_2' (Div): divisor must not be 0, as in channel 0",
    ),
    "division of a constant": (
        lambda m, x: m.node("Div", np.float32(1), x),
        "node 'Div_2' (Div): must divide by a constant, not a constant by a value",
    ),
    "product": (
        lambda m, x: m.node("Mul", x, x),
        "node 'Mul_2' (Mul): one of its two inputs must be a constant",
    ),
    "variance": (
        lambda m, x: m.node("BatchNormalization", x, *[np.ones(4)] * 3, np.full(4, -1.0)),
        "node 'BatchNormalization_2' (BatchNormalization): variance and epsilon must be greater",
    ),
    "scale": (
        lambda m, x: m.quant(x, 0, 2),
        "node 'Quant_2' (Quant): scale must be greater than 0, not 0",
    ),
    "bit width": (
        lambda m, x: m.quant(x, 1, 2.5),
        "node 'Quant_2' (Quant): bit width must be whole, not 2.5",
    ),
    "rounding": (
        lambda m, x: m.quant(x, 1, 2, rounding_mode="NEAREST"),
        "node 'Quant_2' (Quant): rounding_mode must be one of ROUND, HALF_EVEN, CEIL",
    ),
    "axes that are mixed": (
        lambda m, x: m.node("Reshape", x, np.array([1, 6, 4, 4])),
        "node 'Reshape_2' (Reshape): shape (1, 4, 4, 6) to (1, 6, 4, 4) must keep the order",
    ),
    "size of a shape": (
        lambda m, x: m.node("Reshape", x, np.array([1, 7, -1])),
        "node 'Reshape_2' (Reshape): shape must hold 96 numbers, not be [1, 7, 13]",
    ),
    "images' axis": (
        lambda m, x: m.node("Transpose", x, perm=[1, 0, 2, 3]),
        "node 'Transpose_2' (Transpose): the images must stay the first axis",
    ),
    "resizing": (
        lambda m, x: m.node("Resize", x, "", np.array([1, 1, 1.5, 2])),
        "node 'Resize_2' (Resize): scales must be 1, 1 and whole numbers up to 16, not",
    ),
    "interpolation": (
        lambda m, x: m.node("Resize", x, "", np.array([1.0, 1, 2, 2]), mode="linear"),
        "node 'Resize_2' (Resize): mode must be 'nearest', not 'linear'",
    ),
    "pool": (
        lambda m, x: m.node("MaxPool", x, kernel_shape=[5, 1]),
        "node 'MaxPool_2' (MaxPool): kernel height must be at most the padded map's 4, not 5",
    ),
    "ceiling": (
        lambda m, x: m.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        "node 'MaxPool_2' (MaxPool): ceil_mode must be 0 where windows do not fit evenly",
    ),
    "average of a few": (
        lambda m, x: m.node("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        "node 'AveragePool_2' (AveragePool): count_include_pad must be 1 where there are pads",
    ),
    "a large average": (
        lambda m, x: m.node("AveragePool", x, kernel_shape=[10**5] * 2, pads=[10**5] * 4),
        "node 'AveragePool_2' (AveragePool): count_include_pad must be 1 where there are pads",
    ),
    "a larger average": (
        lambda m, x: m.node(
            "AveragePool", x, kernel_shape=[10**5] * 2, pads=[10**5] * 4, count_include_pad=1
        ),
        "node 'AveragePool_2' (AveragePool): weights must be at most 134,217,728, not 40,000,000,0",
    ),
    "large padding": (
        lambda m, x: m.quant(m.node("Conv", x, np.ones((1, 4, 1, 1)), pads=[10**9] * 4), 1, 2),
        "node 'Quant_3' (Quant): layer 'Quant_3': padding must be 0 to 0, not 1000000000",
    ),
    "steps that differ": (
        lambda m, x: m.node("Add", x, m.quant(x, 0.3, 2)),
        "node 'Add_3' (Add): steps of what it adds must be equal, or one at most 3 times",
    ),
    "softmax in the middle": (
        lambda m, x: m.node("Relu", m.node("Softmax", x, axis=1)),
        "node 'Softmax_2' (Softmax): must be at the end, not before node 'Relu_3' (Relu)",
    ),
    "axis of softmax": (
        lambda m, x: m.node("Softmax", x, axis=2),
        "node 'Softmax_2' (Softmax): axis must be that of the channels, not 2",
    ),
    "constant result": (
        lambda m, x: m.node("Relu", np.float32(1)),
        "output 'Relu_2_out': must depend on the image, not be a constant",
    ),
    "memory": (
        lambda m, x: m.node("ConstantOfShape", np.array([2**20, 2**20])),
        "node 'ConstantOfShape_2' (ConstantOfShape): constant must have at most 134,217,728",
    ),
    "memory of a product": (
        lambda m, x: m.node("Add", np.zeros((10**5, 1)), np.zeros((1, 10**5))),
        "node 'Add_2' (Add): constant must have at most 134,217,728 numbers, not 10,000,000,000",
    ),
    "constants that do not fit": (
        lambda m, x: m.node("Add", np.zeros(3), np.zeros(4)),
        "node 'Add_2' (Add): its constants must fit it: ",
    ),
}


@pytest.mark.parametrize("name", NODES)
def test_nodes(tmp_path, name):
    change, line = NODES[name]
    made, x = plain()
    assert refusal(tmp_path, made.build(change(made, x))).startswith(line)


def test_memory_of_many_nodes(tmp_path, monkeypatch):
    monkeypatch.setattr("hiddenite.importer.conversion.MAX_NUMBERS", 10**4)
    made, x = plain()
    constant = made.node("Add", np.zeros((60, 1)), np.zeros((1, 60)))
    for _ in range(3):
        constant = made.node("Neg", constant)
    model = made.build(made.node("Add", x, constant))
    assert refusal(tmp_path, model) == (
        "node 'Neg_4' (Neg): constants of all nodes must have at most 10,000 numbers, not 10,800"
    )


def test_sums_that_are_not_quantised(tmp_path):
    made = Model((3, 6, 8))
    x = made.node("Conv", made.node("Conv", "image", ONES), np.ones((4, 4, 1, 1)))
    assert refusal(tmp_path, made.build(x)) == (
        "node 'Conv_1' (Conv): what it reads must be quantised to at most 8 bits by the nodes"
        " before it"
    )


def test_steps_that_cannot_be_made(tmp_path):
    made = Model((3, 6, 8))
    x = made.node("Conv", "image", ONES)
    x = made.quant(x, 2.0**5, 8, rounding_mode="ROUND")
    x = made.node("Conv", x, np.ones((4, 4, 1, 1)))
    line = refusal(tmp_path, made.build(x), image_range=(0, 255))
    assert line.startswith("node 'Quant_1' (Quant): channel 0 must step at accumulators [")
    assert "which no scale, bias and shift do exactly" in line


def test_pool_before_a_function_that_decreases(tmp_path):
    made = Model((3, 6, 8))
    x = made.node("MaxPool", made.node("Conv", "image", ONES), kernel_shape=[2, 2])
    x = made.node("Neg", x)
    assert refusal(tmp_path, made.build(x)).startswith(
        "node 'Neg_2' (Neg): must not decrease in channel 0, as node 'MaxPool_1' (MaxPool) takes"
    )


def test_padding_of_what_has_no_zero(tmp_path):
    made = Model((3, 6, 8))
    x = made.quant("image", 0.3, 2, zero=0.3, signed=0)
    x = made.node("Conv", x, ONES, pads=[1, 1, 1, 1])
    assert refusal(tmp_path, made.build(x)).startswith(
        "node 'Conv_1' (Conv): padding stands for 0, which must be one of the levels"
    )


@pytest.mark.parametrize("low_high", [(1, 1), (2, 1), (0, float("nan")), (0, float("inf"))])
def test_image_range(tmp_path, low_high):
    made, x = plain()
    line = refusal(tmp_path, made.build(x), image_range=low_high)
    assert line.startswith("image range must be finite and increase, not ")


def test_batch(tmp_path):
    made, x = plain()
    assert refusal(tmp_path, made.build(x, batch=4)) == (
        "input 'image': number of images must be 1 or open, not 4"
    )
    model = made.build(x)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    (tmp_path / "open.onnx").write_bytes(model.SerializeToString())
    assert convert(tmp_path / "open.onnx").network.input.shape == (6, 8, 3)


def test_sizes_that_are_open(tmp_path):
    made, x = plain()
    model = made.build(x)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "H"
    line = refusal(tmp_path, model)
    assert line.startswith("input 'image': sizes must be given and hold 1 to 16,777,216 numbers")


@pytest.mark.parametrize("shape", [(), (3, 4, 5, 6)], ids=len)
def test_rank(tmp_path, shape):
    made = Model(shape)
    line = refusal(tmp_path, made.build(made.node("Relu", "image")))
    assert line == f"input 'image': must have 2 to 4 axes, not {len(shape) + 1}"


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.onnx: cannot be read: No such file or directory"):
        convert(tmp_path / "none.onnx")


def test_cut_files(tmp_path):
    """Wherever a file ends, it is refused with one line."""
    made, x = plain()
    content = made.build(x).SerializeToString()
    for end in range(0, len(content) - 1, 7):
        refusal(tmp_path, content[:end])


def test_damaged_files(tmp_path):
    """A byte that is another one gives a model or a line, and no other error."""
    made, x = plain()
    content = made.build(x).SerializeToString()
    rng = np.random.default_rng(1)
    path = tmp_path / "m.onnx"
    for _ in range(300):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            convert(path)
        except InputError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x00" * 99], ids=len)
def test_other_files(tmp_path, content):
    line = refusal(tmp_path, content)
    assert "the file is no ONNX model, or cut" in line or "it is none, or cut" in line


def changed(change):
    made, x = plain()
    model = made.build(x)
    change(model)
    return model


GRAPHS = {
    "a missing constant": (
        lambda m: m.graph.initializer.pop(),
        "node 'Quant_1' (Quant): input 'c3' must be a constant, the graph's input or computed by",
    ),
    "a loop": (
        lambda m: m.graph.node[0].input.__setitem__(0, "Quant_1_out"),
        "node 'Conv_0' (Conv): input 'Quant_1_out' must be a constant, the graph's input or",
    ),
    "a name twice": (
        lambda m: m.graph.node[1].output.__setitem__(0, "Conv_0_out"),
        "node 'Quant_1' (Quant): output 'Conv_0_out' must not be defined twice",
    ),
    "a constant twice": (
        lambda m: m.graph.initializer.append(m.graph.initializer[0]),
        "initializer 'c0': must not be defined twice",
    ),
    "two inputs": (
        lambda m: m.graph.input.append(helper.make_tensor_value_info("y", 1, (1, 2))),
        "graph must have one input that is no constant, not image, y",
    ),
    "two outputs": (
        lambda m: m.graph.output.append(helper.make_tensor_value_info("Conv_0_out", 1, None)),
        "graph must have one output, not Quant_1_out, Conv_0_out",
    ),
    "an output of nothing": (
        lambda m: setattr(m.graph.output[0], "name", "y"),
        "output 'y': must be computed by a node",
    ),
    "an old opset": (
        lambda m: setattr(m.opset_import[0], "version", 7),
        "opset must be at least 9, not 7",
    ),
    "a future opset": (
        lambda m: setattr(m.opset_import[0], "version", 999),
        "opset must be at most ",
    ),
    "a shape that is too large": (
        lambda m: m.graph.initializer[0].dims.append(2**40),
        "tensor 'c0': data must fit its type and shape: ",
    ),
    "a negative shape": (
        lambda m: m.graph.initializer[0].dims.__setitem__(0, -1),
        "tensor 'c0': shape must not be negative, not [-1, 3, 3, 3]",
    ),
    "text": (
        lambda m: m.graph.initializer[0].CopyFrom(
            helper.make_tensor("c0", TensorProto.STRING, [1], [b"x"])
        ),
        "tensor 'c0': type must be a number's, not ",
    ),
    "double precision": (
        lambda m: m.graph.initializer[0].CopyFrom(numpy_helper.from_array(ONES, "c0")),
        "node 'Conv_0' (Conv): weights must be float32, not float64",
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(tmp_path, name):
    change, line = GRAPHS[name]
    assert refusal(tmp_path, changed(change)).startswith(line)


def external(model, location, **entries):
    tensor = model.graph.initializer[0]
    content = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return content


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "a/../../x", ""])
def test_data_outside_of_the_folder(tmp_path, location):
    model = changed(lambda m: external(m, location))
    assert refusal(tmp_path, model) == (
        f"tensor 'c0': its data must be in the model's folder, not at {location!r}"
    )


def test_data_behind_a_link(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(1000))
    (folder / "data").symlink_to(tmp_path / "secret")
    line = refusal(folder, changed(lambda m: external(m, "data")))
    assert line == "tensor 'c0': its data must be in the model's folder, not at 'data'"


def test_data_in_the_folder(tmp_path):
    model = changed(lambda m: None)
    content = external(model, "weights.bin")
    assert refusal(tmp_path, model) == "tensor 'c0': its data's file 'weights.bin' is missing"
    (tmp_path / "weights.bin").write_bytes(content[:-4])
    assert refusal(tmp_path, model).startswith("tensor 'c0': ")
    (tmp_path / "weights.bin").write_bytes(content)
    onnx.save(model, str(tmp_path / "m.onnx"))
    made, x = plain()
    onnx.save(made.build(x), str(tmp_path / "plain.onnx"))
    assert convert(tmp_path / "m.onnx").network == convert(tmp_path / "plain.onnx").network
