"""What a pooling of a traced model is on the hardware, and what is refused."""

from hiddenite.training.exporter.plans import MaxPlan
from hiddenite.training.exporter.rules import pair, reshape, whole_padding, windows
from hiddenite.training.exporter.values import Averaged, Operand, Stored


def max_pool(
    site,
    input,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
):
    """A maximum pooling."""
    _check_indices(site, return_indices)
    if pair(dilation) != (1, 1):
        site.refuse(f"dilation must be 1, not {dilation!r}")
    window = _window(kernel_size, stride, padding)
    if _changes_nothing(*window):
        return input
    operand = _pooled(site, input)
    _check_least(site, operand)
    window = _padded(site, operand, ceil_mode, *window)
    return MaxPlan(site.name, operand.input, site.maps, *window)


def avg_pool(
    site,
    input,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    """An average pooling."""
    if divisor_override is not None:
        site.refuse(f"divisor_override must be None, not {divisor_override!r}")
    window = _window(kernel_size, stride, padding)
    if _changes_nothing(*window):
        return input
    operand = _pooled(site, input)
    if any(window[2]) and not count_include_pad:
        site.refuse("count_include_pad must be True, not False")
    window = _padded(site, operand, ceil_mode, *window)
    return Averaged(site.name, operand.input, site.maps, *window)


def max_pool_rows(
    site,
    input,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
):
    """A maximum pooling of rows."""
    rows = row(kernel_size, 1), row(stride, 1), row(padding, 0), row(dilation, 1)
    return max_pool(site, input, *rows, ceil_mode, return_indices)


def avg_pool_rows(
    site, input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
):
    """An average pooling of rows."""
    rows = row(kernel_size, 1), row(stride, 1), row(padding, 0)
    return avg_pool(site, input, *rows, ceil_mode, count_include_pad)


def row(value, height):
    """Return a number for the width of rows as (height, width); none stays none."""
    if value in (None, [], ()):
        return None
    return height, value if isinstance(value, int) else value[0]


def adaptive_max_pool(site, input, output_size, return_indices=False):
    """A maximum pooling to a given size."""
    _check_indices(site, return_indices)
    return _adaptive(site, input, site.maps[1:], MaxPlan)


def adaptive_avg_pool(site, input, output_size):
    """An average pooling to a given size."""
    return _adaptive(site, input, site.maps[1:], Averaged)


def amax(site, input, dim=(), keepdim=False):
    """A maximum over whole maps."""
    return _whole(site, input, dim, keepdim, MaxPlan)


def mean(site, input, dim=None, keepdim=False, *, dtype=None):
    """An average over whole maps."""
    return _whole(site, input, dim, keepdim, Averaged)


def _whole(site, value, dim, keepdim, kind):
    axes = [dim] if isinstance(dim, int) else list(dim or [])
    count = site.axes + (0 if keepdim else len(axes))
    rows = count == 3
    if sorted(axis % count for axis in axes) != ([2] if rows else [2, 3]):
        rule = "over the length of rows, 2" if rows else "over height and width, (2, 3)"
        site.refuse(f"must be {rule}, not {dim!r}")
    return _adaptive(site, value, (1, 1), kind)


def _adaptive(site, value, size, kind):
    """Return a pooling whose windows divide the map into so many parts."""
    whole = value.shape[1:]
    if whole == size:
        return reshape(site, value)
    operand = _pooled(site, value)
    if any(pixels % parts for pixels, parts in zip(whole, size, strict=True)):
        site.refuse(f"output size must divide the map's {whole}, not be {size}")
    kernel = whole[0] // size[0], whole[1] // size[1]
    if kind is MaxPlan:
        _check_least(site, operand)
    padding = whole_padding(site, operand, (0, 0), kernel, kernel)
    return kind(site.name, operand.input, (value.shape[0], *size), kernel, kernel, padding)


def _pooled(site, value):
    """Return stored activations with the zeros around them, or refuse another value."""
    if isinstance(value, Stored):
        return Operand.of(value)
    if isinstance(value, Operand):
        if value.is_padded_only:
            return value
        rule = f"must pool 8-bit activations, not {value}: pool them before that"
    else:
        rule = f"must pool 8-bit activations, not {value}: put the QuantizedReLU before it"
    return Operand.of(site.stored(value, rule))


def _check_least(site, operand):
    """Refuse zeros around activations with a sign, of which a maximum may be less than 0."""
    if operand.input.signed and any(operand.padding):
        site.refuse(
            f"must not read the zeros of {operand.place!r} around activations with a sign: use its"
            " own padding, or put a QuantizedReLU before it"
        )


def _window(kernel, stride, padding):
    """Return kernel, stride and padding as (height, width)."""
    stride = kernel if stride in (None, [], ()) else stride
    return pair(kernel), pair(stride), pair(padding)


def _changes_nothing(kernel, stride, padding):
    return kernel == stride == (1, 1) and padding == (0, 0)


def _padded(site, operand, ceil_mode, kernel, stride, padding):
    """Return kernel, stride and all padding, and check the number of windows."""
    if ceil_mode:
        floor = windows(operand.shape[1:], padding, kernel, stride)
        if floor != site.maps[1:]:
            site.refuse(
                f"ceil_mode must change nothing, not make the output {site.maps[1:]} instead of"
                f" {floor}: use ceil_mode=False"
            )
    return kernel, stride, whole_padding(site, operand, padding, kernel, stride)


def _check_indices(site, return_indices):
    if return_indices:
        site.refuse("return_indices must be False, not True")
