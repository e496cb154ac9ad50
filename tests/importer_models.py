"""Random QONNX models, and what each tensor of one is in the network that is made of it."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"


class Model:
    """An ONNX model in the making.

    Parameters
    ----------
    shape : tuple of int
        Of the input, without the number of images.
    opset : int
        Version of the operators.
    domain : str
        That of quantisers.
    """

    def __init__(self, shape, opset=13, domain=QONNX):
        self.nodes, self.constants = [], []
        self.shape, self.opset, self.domain = shape, opset, domain

    def constant(self, value):
        """Add a constant, float32 unless it is an integer array, and return its name."""
        array = np.asarray(value)
        if array.dtype.kind == "f":
            array = array.astype(np.float32)
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op, *inputs, outputs=1, domain=None, **attributes):
        """Add a node, whose inputs are names or constants, and return its output's name."""
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        name = f"{op}_{len(self.nodes)}"
        made = [f"{name}_{number}" if number else f"{name}_out" for number in range(outputs)]
        custom = op in ("Quant", "IntQuant", "BipolarQuant", "MultiThreshold")
        domain = (self.domain if custom else "") if domain is None else domain
        self.nodes.append(helper.make_node(op, names, made, name=name, domain=domain, **attributes))
        return made[0]

    def quant(self, x, scale, bits, *, zero=0.0, signed=1, narrow=0, rounding_mode="ROUND"):
        """Add a quantiser of integers."""
        inputs = (np.float32(scale), np.float32(zero), np.float32(bits))
        return self.node(
            "Quant", x, *inputs, signed=signed, narrow=narrow, rounding_mode=rounding_mode
        )

    def build(self, output, batch=1):
        """Return the model whose result is a tensor."""
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (batch, *self.shape))
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "made", [image], [result], self.constants)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(self.domain, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


class RandomModel(Model):
    """A model of random layers.

    Attributes
    ----------
    result : str
        Name of its result.
    quantised : list of str
        Names of quantised tensors.
    image_range : (float, float)
    """

    def __init__(self, seed, kind):
        self.rng = rng = np.random.default_rng(seed)
        self.kind = kind
        self.quantised = []
        self.image_range = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))[rng.integers(3)]
        channels = int(rng.integers(1, 4))
        size = int(rng.integers(5, 10))
        shape = (channels, size, size + int(rng.integers(0, 3)))
        domain = (QONNX, "onnx.brevitas", "finn.custom_op.general")[rng.integers(3)]
        super().__init__(shape, opset=int(rng.choice([9, 11, 13])), domain=domain)
        if kind == "cnn":
            self.result = self._cnn()
        else:
            self.result = self._mlp()

    def chance(self, probability):
        return self.rng.random() < probability

    def weights(self, *shape, two_bits=True):
        """Return the name of quantised weights, of 2 bits with -2 among them where they may be."""
        rng, kind = self.rng, self.rng.integers(4)
        values = rng.normal(size=shape)
        scale = np.float32(rng.choice([1.0, 0.5, 0.3]))
        if kind == 0:
            return self.node("BipolarQuant", values, scale)
        if kind == 1:
            return self.quant(values * scale, scale, 2, narrow=1)
        if kind == 2 and two_bits:
            return self.quant(values * scale, scale, 2)
        if self.chance(0.5):
            return self.quant(values, scale, 1)
        return self.constant(np.sign(values) * scale)

    def image(self):
        """Return what the first layer reads: the image, quantised or not."""
        rng, (low, high) = self.rng, self.image_range
        x = "image"
        if self.kind == "mlp" and self.chance(0.4):
            x = self.node(
                "Sub", self.node("Mul", x, np.float32(2 / (high - low))), np.float32(0.25)
            )
        middle = np.float32(rng.uniform(low + 0.3 * (high - low), high - 0.3 * (high - low)))
        kind = rng.integers(4)
        if kind == 0:
            return x, False
        if kind == 1:
            x = self.node("BipolarQuant", self.node("Sub", x, middle), np.float32(1))
        elif kind == 2:
            x = self.quant(x, (high - low) / 4, 2, narrow=1)
        else:
            x = self.quant(x, (high - low) / 2**7, 8, signed=int(low < 0))
        self.quantised.append(x)
        return x, True

    def normalised(self, x, channels, spread):
        """Return a batch normalisation, or factors and offsets, of a sum."""
        rng = self.rng
        if self.chance(0.7):
            gamma = rng.uniform(0.5, 2, channels) * rng.choice([1, 1, 1, -1], channels)
            return self.node(
                "BatchNormalization",
                x,
                gamma,
                rng.normal(0, 0.5, channels),
                rng.normal(0, spread / 4, channels),
                rng.uniform(0.5, 1.5, channels) * spread**2,
                epsilon=1e-5,
            )
        x = self.node("Div", x, np.float32(spread))
        return self.node("Add", x, rng.normal(0, 0.3, self.per_channel(channels)))

    def per_channel(self, channels):
        return (1, channels, 1, 1) if self.kind == "cnn" else (channels,)

    def activation(self, x, channels):
        """Return a quantised activation and the largest of its values."""
        rng, kind = self.rng, self.rng.integers(7)
        if kind == 0:
            x, largest = self.node("BipolarQuant", x, np.float32(0.5)), 0.5
        elif kind == 1:
            x, largest = self.quant(x, 0.7, 2, narrow=int(rng.integers(2))), 1.4
        elif kind == 2:
            mode = rng.choice(["ROUND", "FLOOR", "CEIL", "HALF_UP"])
            x = self.quant(self.node("Relu", x), 0.25, 3, signed=0, rounding_mode=mode)
            largest = 1.75
        elif kind == 3:
            x, largest = self.quant(x, 0.2, 4), 1.6
        elif kind == 4:
            thresholds = np.sort(rng.normal(0, 1, (channels, 3)), 1)
            if self.kind != "cnn":
                x = self.node("MultiThreshold", x, thresholds, out_dtype="UINT2")
            else:
                x = self.node(
                    "MultiThreshold", x, thresholds, out_dtype="UINT2", data_layout="NCHW"
                )
            largest = 3
        elif kind == 5:
            x, largest = self.node("Sign", x), 1
        else:
            x = self.node("Clip", x, np.float32(-1), np.float32(1)) if self.opset > 10 else x
            x, largest = self.quant(x, 0.5, 2, zero=1.0, signed=0), 1
        self.quantised.append(x)
        return x, largest

    def _mlp(self):
        x, _ = self.image()
        features = int(np.prod(self.shape))
        x = (
            self.node("Flatten", x)
            if self.chance(0.5)
            else self.node("Reshape", x, np.array([0, -1]))
        )
        if self.chance(0.3):
            # What PyTorch writes for a view; the batch is read from the shape.
            self.nodes.pop()
            source = self.nodes[-1].output[0] if self.nodes else "image"
            shape = self.node("Shape", source)
            batch = self.node("Gather", shape, np.array(0), axis=0)
            if self.opset < 13:
                size = self.node("Unsqueeze", batch, axes=[0])
            else:
                size = self.node("Unsqueeze", batch, np.array([0]))
            x = self.node("Reshape", source, self.node("Concat", size, np.array([-1]), axis=0))
        spread = features**0.5 * max(abs(v) for v in self.image_range) / 2
        for _ in range(self.rng.integers(1, 4)):
            outputs = int(self.rng.integers(3, 20))
            x = self.dense(x, features, outputs)
            x = self.normalised(x, outputs, spread)
            if self.chance(0.2):
                x = self.node("Relu", x)
            x, largest = self.activation(x, outputs)
            features, spread = outputs, outputs**0.5 * largest * 0.6
        return self.logits(x, features)

    def dense(self, x, features, outputs):
        if self.chance(0.5):
            weights = self.weights(outputs, features)
            return self.node("MatMul", x, self.node("Transpose", weights, perm=[1, 0]))
        bias = self.rng.normal(size=outputs)
        return self.node("Gemm", x, self.weights(outputs, features), bias, transB=1)

    def logits(self, x, features):
        rng, classes = self.rng, int(self.rng.integers(2, 12))
        scale = np.float32(rng.choice([1, 0.5]))
        weights = self.node("BipolarQuant", rng.normal(size=(features, classes)), scale)
        if self.chance(0.5):
            bias = rng.normal(0, 3, classes).astype(np.float32)
            x = self.node("Gemm", x, weights, bias, alpha=float(rng.choice([1, 0.5])))
        else:
            x = self.node("MatMul", x, weights)
        x = self.node("Sub", x, np.float32([rng.normal()]))
        x = self.node("Mul", x, np.float32([rng.uniform(0.1, 2)]))
        return x

    def _cnn(self):
        rng = self.rng
        x, quantised = self.image()
        channels, height, width = self.shape
        spread = 3 * max(abs(v) for v in self.image_range)
        if not quantised and self.image_range[0] + self.image_range[1]:
            x, _ = self.quant(x, max(self.image_range) / 255, 8, signed=0), None
        for _ in range(rng.integers(1, 4)):
            outputs = int(rng.choice([4, 6, 8]))
            x, height, width = self.conv(x, channels, outputs, height, width)
            channels = outputs
            pool = min(height, width) >= 4 and self.chance(0.4)
            x = self.normalised(x, channels, spread)
            x, largest = self.activation(x, channels)
            if pool:
                x = self.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
                height, width = height // 2, width // 2
            spread = channels**0.5 * 3 * largest
            if self.chance(0.3):
                x = self.node("Add", x, x)
                x, largest = self.quant(self.node("Mul", x, np.float32(0.4)), 0.5, 2), 1
                self.quantised.append(x)
            if self.chance(0.2):
                x = self.node("Concat", x, x, axis=1)
                channels *= 2
        if self.chance(0.4):
            x = self.node("GlobalAveragePool", x)
            height = width = 1
        x = self.node("Flatten", x)
        return self.logits(x, channels * height * width)

    def conv(self, x, channels, outputs, height, width):
        rng = self.rng
        kernel = [int(rng.integers(1, 4)) for _ in range(2)]
        dilation = [int(rng.choice([1, 1, 2])) for _ in range(2)]
        stride = [int(rng.choice([1, 1, 2])) for _ in range(2)]
        groups = int(
            rng.choice([g for g in (1, 2, channels) if not channels % g and not outputs % g])
        )
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        pads = [int(rng.integers(0, span)) for span in spans * 2]
        sizes = []
        for axis, size in enumerate((height, width)):
            while size + pads[axis] + pads[axis + 2] < spans[axis]:
                kernel[axis] -= 1
                spans[axis] = (kernel[axis] - 1) * dilation[axis] + 1
            pads[axis], pads[axis + 2] = (min(p, spans[axis] - 1) for p in pads[axis::2])
            sizes.append((size + pads[axis] + pads[axis + 2] - spans[axis]) // stride[axis] + 1)
        weights = self.weights(outputs, channels // groups, *kernel, two_bits=groups == 1)
        x = self.node(
            "Conv", x, weights, kernel_shape=kernel, dilations=dilation, strides=stride,
            pads=pads, group=groups,
        )  # fmt: skip
        return x, *sizes


def save(model, path):
    """Write a model."""
    onnx.save(model, str(path))
    return path
