"""The four networks of MLPerf Tiny, with random masks: what they cost does not depend on training.

Topologies are those of the reference models (https://github.com/mlcommons/tiny, v1.1): padding as
TensorFlow's "same", batch normalisation and ReLU in the convs. The shortcuts of the ResNet and the
inputs of keywords and anomalies are int8, as these have signs.
"""

import numpy as np

from hiddenite.golden.network import AvgPool, Conv, Input, Network

__all__ = ["NAMES", "mlperf_network"]

NAMES = {
    "resnet8": "image classification: ResNet-8, 32 x 32 x 3",
    "dscnn": "keywords: DS-CNN, 49 x 10",
    "mobilenet": "visual wake words: MobileNetV1 0.25, 96 x 96 x 3",
    "autoencoder": "anomalies: autoencoder, 640",
}
"""What each network is."""


class _Builder:
    """Layers one after the other; names and index are numbers."""

    def __init__(self, name: str, shape: tuple[int, int, int], type: str, density: float):
        height, width, channels = shape
        self.name, self.density = name, density
        self.rng = np.random.default_rng(1)
        self.image = Input(name="image", height=height, width=width, channels=channels, type=type)
        self.layers: list[Conv | AvgPool] = []
        self.shapes = {"image": shape}
        self.last = "image"

    def add(self, layer: Conv | AvgPool) -> str:
        self.layers.append(layer)
        self.last = layer.name
        self.shapes[layer.name] = layer.output_shape(self.shapes[layer.input])
        return layer.name

    def conv(
        self,
        channels: int,
        kernel: tuple[int, int] = (1, 1),
        stride: int = 1,
        *,
        source: str = "",
        depthwise: bool = False,
        residual: str | None = None,
        output: str = "uint8",
    ) -> str:
        """A conv whose output is as large as its input, divided by the stride."""
        source = source or self.last
        height, width, inputs = self.shapes[source]
        groups = inputs if depthwise else 1
        before, after = [], []
        for size, taps in zip((height, width), kernel, strict=True):
            padding = max(0, (-(-size // stride) - 1) * stride + taps - size)
            before.append(padding // 2)
            after.append(padding - padding // 2)
        mask = self.rng.random((channels, *kernel, inputs // groups)) < self.density
        scale = round(2**13 * 1.3 / np.sqrt(self.density * mask[0].size))
        return self.add(
            Conv(
                name=f"layer{len(self.layers)}",
                input=source,
                index=len(self.layers),
                out_channels=channels,
                kernel=kernel,
                stride=(stride, stride),
                padding=(*before, *after),
                groups=groups,
                mask=mask,
                scale=np.full(channels, scale, np.int16),
                bias=self.rng.integers(-500, 3000, channels).astype(np.int32),
                shift=13,
                residual=residual,
                residual_scale=None if residual is None else 2**13,
                output=output,
            )
        )

    def average(self) -> str:
        """The average of the map."""
        height, width, _ = self.shapes[self.last]
        return self.add(
            AvgPool(
                name=f"layer{len(self.layers)}",
                input=self.last,
                kernel=(height, width),
                stride=(height, width),
                scale=round(2**15 / (height * width)),
                shift=15,
            )
        )

    def network(self) -> Network:
        return Network(name=self.name, seed=1, input=self.image, layers=tuple(self.layers))


def _resnet8(b: _Builder) -> None:
    b.conv(16, (3, 3))
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        shortcut = b.last
        inner = b.conv(channels, (3, 3), stride)
        if stride > 1:
            shortcut = b.conv(channels, (1, 1), stride, source=shortcut, output="int8")
        b.conv(channels, (3, 3), source=inner, residual=shortcut)
    b.average()
    b.conv(10, output="int32")


def _dscnn(b: _Builder) -> None:
    b.conv(64, (10, 4), 2)
    for _ in range(4):
        b.conv(64, (3, 3), depthwise=True)
        b.conv(64)
    b.average()
    b.conv(12, output="int32")


def _mobilenet(b: _Builder) -> None:
    channels = 8
    b.conv(channels, (3, 3), 2)
    blocks = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5]
    for following, stride in (*blocks, (256, 2), (256, 1)):
        b.conv(channels, (3, 3), stride, depthwise=True)
        b.conv(following)
        channels = following
    b.average()
    b.conv(2, output="int32")


def _autoencoder(b: _Builder) -> None:
    for channels in (*[128] * 4, 8, *[128] * 4):
        b.conv(channels)
    b.conv(640, output="int32")


def mlperf_network(name: str, density: float = 0.3) -> Network:
    """One of `NAMES`, with so many of its weights kept."""
    shape, type, build = {
        "resnet8": ((32, 32, 3), "uint8", _resnet8),
        "dscnn": ((49, 10, 1), "int8", _dscnn),
        "mobilenet": ((96, 96, 3), "uint8", _mobilenet),
        "autoencoder": ((1, 1, 640), "int8", _autoencoder),
    }[name]
    builder = _Builder(name, shape, type, density)
    build(builder)
    return builder.network()
