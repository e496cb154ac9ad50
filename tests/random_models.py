"""Random plain models in the forms in which people write them, functions and modules mixed."""

import random

import torch
from torch import nn
from torch.nn import functional


class RandomModel(nn.Module):
    """Calls its steps one behind the other, each a function of the model and a tensor.

    Attributes
    ----------
    refused : str or None
        What the hardware cannot do in it, as a pattern of the message, or None.
    image : (int, int, int)
        (C, H, W) of its input.
    """

    def __init__(self, seed, refusable):
        super().__init__()
        self.refused = None
        self._random = random.Random(seed)
        self.image = self._shape = (
            self._choose((1, 3, 4)),
            self._choose((7, 8)),
            self._choose((6, 8)),
        )
        self.steps = []
        if self._random.random() < 0.4:
            self._normalise()
        else:
            self._convolve()
        for _ in range(self._random.randint(1, 3)):
            self._choose((self._convolve, self._add, self._pool, self._bottleneck, self._join))()
            if self._random.random() < 0.3:
                self._drop()
        if refusable:
            self._refuse()
        self._end()

    def forward(self, x):
        for step in self.steps:
            x = step(self, x)
        return x

    def _choose(self, values):
        return self._random.choice(values)

    def _step(self, *functions):
        """Add one of some functions of the tensor alone, or modules."""
        function = self._choose(functions)
        if isinstance(function, nn.Module):
            name = self._module(function)
            self.steps.append(lambda m, x: m.get_submodule(name)(x))
        else:
            self.steps.append(lambda m, x: function(x))

    def _module(self, module):
        """Add a module under a name of its own, which is returned."""
        name = f"{type(module).__name__.lower()}{len(self._modules)}"
        self.add_module(name, module)
        return name

    def _normalise(self):
        """Normalise the image as its first convolution, without padding, can read it."""
        channels, height, width = self._shape
        mean, gain = torch.rand(channels, 1, 1), self._choose((2.0, 4.0, -3.0))
        self.register_buffer("mean", mean)
        self._step(
            lambda x: (x - 0.5) * gain,
            lambda x: x.sub(0.25).div(1 / gain),
            *([nn.BatchNorm2d(1)] if channels == 1 else []),
        )
        if self._random.random() < 0.5:
            self.steps.append(lambda m, x: x - m.mean)
        self._shape = self._choose((3, 4)), height - 2, width - 2
        self._step(nn.Conv2d(channels, self._shape[0], 3))
        self._rectify()

    def _signed(self, channels, kernel=3, stride=1):
        """Add a convolution that keeps the map, but for its stride, perhaps normalised."""
        zeros = kernel // 2
        if self._random.random() < 0.3:
            self._step(nn.ZeroPad2d(zeros), lambda x, zeros=zeros: functional.pad(x, (zeros,) * 4))
            zeros = 0
        norm = self._random.random() < 0.7
        self._step(nn.Conv2d(self._shape[0], channels, kernel, stride, zeros, bias=not norm))
        if norm:
            self._step(nn.BatchNorm2d(channels))
        size = (-(-pixels // stride) for pixels in self._shape[1:])
        self._shape = channels, *size

    def _rectify(self):
        self._step(
            functional.relu,
            torch.relu,
            lambda x: x.relu(),
            lambda x: x.relu_(),
            lambda x: functional.relu(x, inplace=True),
            nn.ReLU(),
            nn.ReLU(inplace=True),
            functional.relu6,
            nn.ReLU6(),
            lambda x: functional.hardtanh(x, 0, 2),
            nn.Hardtanh(0, 3),
            lambda x: x.clamp(min=0),
            lambda x: torch.clamp(x, 0, 4),
        )

    def _convolve(self):
        self._signed(self._choose((3, 4, 5)), self._choose((1, 3)), self._choose((1, 1, 2)))
        if min(self._shape[1:]) >= 4 and self._random.random() < 0.3:
            self._maximum()
        self._rectify()

    def _maximum(self):
        channels, height, width = self._shape
        self._step(
            nn.MaxPool2d(2),
            lambda x: functional.max_pool2d(x, 2, ceil_mode=not (height % 2 or width % 2)),
            lambda x: torch.max_pool2d(x, 2, 2),
        )
        self._shape = channels, height // 2, width // 2

    def _pool(self):
        channels, height, width = self._shape
        if min(height, width) < 4:
            return
        if self._random.random() < 0.4:
            self._maximum()
            return
        size = height // 2, width // 2
        if height % 2 or width % 2:
            self._step(nn.AvgPool2d(2), lambda x: functional.avg_pool2d(x, 2))
        else:
            self._step(
                nn.AvgPool2d(2),
                nn.AdaptiveAvgPool2d(size),
                nn.AdaptiveMaxPool2d(size),
                lambda x: functional.avg_pool2d(x, 2),
                lambda x: functional.avg_pool2d(x, 3, 2, 1),
                lambda x: functional.adaptive_avg_pool2d(x, size),
                lambda x: functional.adaptive_max_pool2d(x, size),
            )
        self._shape = channels, *size

    def _add(self):
        """Add a residual block; its shortcut is what it reads."""
        start, self.steps = self.steps, []
        self._signed(self._shape[0])
        branch = self.steps
        add = self._choose(
            (
                lambda y, x: y + x,
                lambda y, x: torch.add(x, y),
                lambda y, x: y.add_(x),
                lambda y, x: sum([x, y]),
            )
        )

        def block(m, x):
            y = x
            for step in branch:
                y = step(m, y)
            return add(y, x)

        self.steps = [*start, block]
        self._rectify()

    def _bottleneck(self):
        """Add what ends without a rectifier: a depthwise or dilated convolution, or another sum."""
        channels = self._shape[0]
        groups = self._choose((1, channels))
        gap = self._choose((1, 2))
        self._step(
            nn.Conv2d(channels, channels, 3, padding=gap, dilation=gap, groups=groups),
            nn.Conv2d(channels, channels, (2, 4), padding=(1, 3), dilation=(2, 2), groups=groups),
            lambda x: x + x,
            nn.BatchNorm2d(channels),
        )

    def _join(self):
        """Put the channels of a convolution, perhaps rectified, beside those that it reads."""
        channels = self._choose((2, 3))
        start, self.steps, (before, *size) = self.steps, [], self._shape
        self._signed(channels)
        if self._random.random() < 0.5:
            self._rectify()
        branch = self.steps

        def join(m, x):
            y = x
            for step in branch:
                y = step(m, y)
            return torch.cat([y, x], 1)

        self.steps = [*start, join]
        self._shape = before + channels, *size

    def _drop(self):
        self._step(
            nn.Dropout(0.1),
            nn.Dropout2d(0.1),
            nn.Identity(),
            lambda x: x.contiguous(),
            lambda x: functional.dropout(x, 0.1, False),
        )
        if self._random.random() < 0.5:
            self.steps.append(lambda m, x: functional.dropout(x, 0.1, m.training))

    def _refuse(self):
        """Add what the network file has no layer for."""
        self.refused, step = self._choose(
            (
                (
                    "node 'getitem.*: the hardware has no",
                    lambda m, x: torch.cat([x, x], 1)[:, ::2].contiguous(),
                ),
                ("node 'gelu.*: has no 8-bit output", lambda m, x: functional.gelu(x)),
                (
                    "must be over height and width",
                    lambda m, x: x.mean(1, keepdim=True).expand_as(x).contiguous(),
                ),
                (
                    "cannot multiply",
                    lambda m, x: x * functional.adaptive_avg_pool2d(x, 1),
                ),
                (
                    "mode must be 'nearest'",
                    lambda m, x: functional.interpolate(x, x.shape[2:], mode="bilinear"),
                ),
                (
                    "must pad with zeros",
                    lambda m, x: functional.pad(x, (1, 1), value=1.0)[..., :-2].contiguous(),
                ),
            )
        )
        self.steps.append(step)

    def _end(self):
        """End with a linear layer, or with maps."""
        channels, height, width = self._shape
        if self._random.random() < 0.2:
            self._signed(5)
        else:
            features = channels * height * width
            if self._random.random() < 0.5:
                features = channels
                self._step(
                    nn.AdaptiveAvgPool2d(1),
                    lambda x: functional.adaptive_avg_pool2d(x, 1),
                    lambda x: x.mean((2, 3)),
                    lambda x: x.mean(dim=[-2, -1], keepdim=True),
                    lambda x: x.amax((2, 3)),
                )
            self._step(
                nn.Flatten(),
                lambda x: torch.flatten(x, 1),
                lambda x: x.flatten(1),
                lambda x: x.view(x.size(0), -1),
                lambda x: x.reshape(-1, features),
            )
            self._step(nn.Linear(features, 5))
            if self._random.random() < 0.3:
                self._step(nn.BatchNorm1d(5))
        self._step(
            nn.Identity(),
            nn.Identity(),
            nn.Softmax(1),
            lambda x: functional.log_softmax(x, 1),
            lambda x: x.softmax(dim=1),
            lambda x: torch.argmax(x, 1),
        )
