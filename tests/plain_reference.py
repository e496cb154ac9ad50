"""A second golden model, one integer at a time: the specification in plain Python.

It shares nothing with `hiddenite.golden` but the description of the network. Tensors are nested
lists, [y][x][channel].
"""

RANGES = {"uint8": (0, 255), "int8": (-128, 127), "int32": (-(2**31), 2**31 - 1)}


def reference(network, image):
    """Return all tensors of a network for one image.

    Parameters
    ----------
    network : Network
        The network, a small one.
    image : integer array, (H, W, C)
        The image.

    Returns
    -------
    dict of str to list
        Of each tensor, the image among them.
    """
    tensors = {network.input.name: image.tolist()}
    for layer in network.layers:
        tensors[layer.name] = _COMPUTE[layer.op](network, layer, tensors)
    return tensors


def weight_signs(seed, index, channel, kernel, channels):
    """Return the signs of an output channel's weights, [ky][kx][c], each 1 or -1."""
    key = seed + index * 0x9E3779B9 + channel * 0x85EBCA6B
    word = _xorshift32(_xorshift32(key % 2**32) + 0x9E3779B9 & 0xFFFFFFFF) or 1
    height, width = kernel
    result = []
    for _ in range(height):
        row = []
        for _ in range(-(-width * channels // 32)):
            row += [-1 if word >> bit & 1 else 1 for bit in range(32)]
            word = _xorshift32(word)
        result.append([row[kx * channels : (kx + 1) * channels] for kx in range(width)])
    return result


def _xorshift32(x):
    x ^= x << 13 & 0xFFFFFFFF
    x ^= x >> 17
    return x ^ (x << 5 & 0xFFFFFFFF)


def _size(tensor):
    return len(tensor), len(tensor[0])


def _at(tensor, y, x, c, outside):
    """Return an activation, or what is there outside of the map."""
    height, width = _size(tensor)
    return tensor[y][x][c] if 0 <= y < height and 0 <= x < width else outside


def _map(size, channels, function):
    height, width = size
    return [
        [[function(y, x, c) for c in range(channels)] for x in range(width)] for y in range(height)
    ]


def _rounded(v, shift, output):
    low, high = RANGES[output]
    return min(max((v + 2 ** (shift - 1)) >> shift, low), high)


def _output_size(layer, size, dilation):
    top, left, bottom, right = layer.padding
    return tuple(
        (extent + before + after - (kernel - 1) * step - 1) // stride + 1
        for extent, before, after, kernel, step, stride in zip(
            size, (top, left), (bottom, right), layer.kernel, dilation, layer.stride, strict=True
        )
    )


def _conv(network, layer, tensors):
    source = tensors[layer.input]
    (kernel_height, kernel_width), (sy, sx) = layer.kernel, layer.stride
    (dy, dx), (top, left, _, _) = layer.dilation, layer.padding
    channels = len(source[0][0]) // layer.groups
    weights = []
    for o in range(layer.out_channels):
        if layer.sign is None:
            sign = weight_signs(network.seed, layer.index, o, layer.kernel, channels)
        else:
            sign = (1 - 2 * layer.sign[o].astype(int)).tolist()
        weights.append(
            [
                (ky, kx, c, sign[ky][kx][c])
                for ky in range(kernel_height)
                for kx in range(kernel_width)
                for c in range(channels)
                if layer.mask[o, ky, kx, c]
            ]
        )

    def output(y, x, o):
        first = o // (layer.out_channels // layer.groups) * channels
        acc = sum(
            sign * _at(source, y * sy + ky * dy - top, x * sx + kx * dx - left, first + c, 0)
            for ky, kx, c, sign in weights[o]
        )
        v = (acc + int(layer.bias[o])) * int(layer.scale[o])
        if layer.residual is not None:
            v += tensors[layer.residual][y][x][o] * layer.residual_scale
        return _rounded(v, layer.shift, layer.output)

    return _map(_output_size(layer, _size(source), layer.dilation), layer.out_channels, output)


def _pool(network, layer, tensors, of_window):
    source = tensors[layer.input]
    (kernel_height, kernel_width), (sy, sx) = layer.kernel, layer.stride
    top, left, _, _ = layer.padding
    kind = network.types[layer.input]
    outside = RANGES[kind][0] if layer.op == "max_pool" else 0

    def output(y, x, c):
        window = [
            _at(source, y * sy + ky - top, x * sx + kx - left, c, outside)
            for ky in range(kernel_height)
            for kx in range(kernel_width)
        ]
        return of_window(window, kind)

    return _map(_output_size(layer, _size(source), (1, 1)), len(source[0][0]), output)


def _max_pool(network, layer, tensors):
    return _pool(network, layer, tensors, lambda window, _: max(window))


def _avg_pool(network, layer, tensors):
    def average(window, kind):
        return _rounded(sum(window) * layer.scale, layer.shift, kind)

    return _pool(network, layer, tensors, average)


def _add(_, layer, tensors):
    one, other = tensors[layer.input], tensors[layer.residual]

    def output(y, x, c):
        v = one[y][x][c] * layer.scale + other[y][x][c] * layer.residual_scale
        return _rounded(v, layer.shift, layer.output)

    return _map(_size(one), len(one[0][0]), output)


def _concat(_, layer, tensors):
    sources = [tensors[name] for name in layer.inputs]
    height, width = _size(sources[0])
    return [
        [[v for source in sources for v in source[y][x]] for x in range(width)]
        for y in range(height)
    ]


def _upsample(_, layer, tensors):
    source, (down, across) = tensors[layer.input], layer.factor
    height, width = _size(source)
    return [
        [list(source[y // down][x // across]) for x in range(width * across)]
        for y in range(height * down)
    ]


_COMPUTE = {
    "conv": _conv,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "add": _add,
    "concat": _concat,
    "upsample": _upsample,
}
