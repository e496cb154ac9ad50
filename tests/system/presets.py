"""The presets that emitted Verilog is tried of."""

import pytest

from hiddenite.rtl.configuration import PRESETS

SAMPLE = [
    pytest.param(name, marks=pytest.mark.exhaustive("it is ecp5-25f in other sizes"))
    if name == "ecp5-85f"
    else name
    for name in PRESETS
]
"""All presets, for `parametrize`; the default run leaves out one that takes minutes to build."""
