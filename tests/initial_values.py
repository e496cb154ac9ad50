"""Emitted Verilog whose registers and memories begin as anything.

The patterns know how `hiddenite.rtl.emission` and `hiddenite.rtl.primitives.memory` write things;
what they do not know, the last check finds.
"""

import re

import numpy as np

_VALUE = re.compile(r"^  initial \S+ += \d+'\S+;\n", re.M)
_CONTENTS = re.compile(r"^  initial begin\n(?:    \S+\[\d+\] = \S+;\n)+  end\n", re.M)
_REGISTER = re.compile(r"^  (?:output )?reg (?:\[(\d+):0\] )?(\\\S+|\w+)(?: ?;|,?)$", re.M)
_MEMORY = re.compile(r"^  (?:\(\* .* \*\) )?reg \[(\d+):0\] (\S+) \[(?:0:(\d+)|(\d+):0)\];\n", re.M)


def without_initial_values(text):
    """Return Verilog none of whose registers and memories has an initial value."""
    text = _CONTENTS.sub("", _VALUE.sub("", text))
    assert "initial" not in text
    return text


def with_random_initial_values(text, seed):
    """Return Verilog all of whose registers and memories begin with random values."""
    rng = np.random.default_rng(seed)

    def value(width):
        return f"{width}'h{int.from_bytes(rng.bytes(width // 8 + 1)) % 2**width:x}"

    def words(match):
        width, name = int(match[1]) + 1, match[2]
        depth = int(match[3] or match[4]) + 1
        random = ", ".join(["$random"] * (width // 32 + 1))
        # A concatenation has no part select, and is cut off where it is stored.
        return (
            f"{match[0]}  integer at_{name};\n"
            f"  initial for (at_{name} = 0; at_{name} < {depth}; at_{name} = at_{name} + 1)"
            f" {name}[at_{name}] = {{{random}}};\n"
        )

    modules = []
    for module in re.split(r"^(?=module )", without_initial_values(text), flags=re.M):
        declared = len(re.findall(r"\breg ", module))
        registers = {m[2]: int(m[1] or 0) + 1 for m in _REGISTER.finditer(module)}
        module, memories = _MEMORY.subn(words, module)
        assert len(registers) + memories == declared
        values = [f"  initial {name} = {value(width)};\n" for name, width in registers.items()]
        modules.append(module.replace("endmodule\n", "".join(values) + "endmodule\n"))
    return "".join(modules)
