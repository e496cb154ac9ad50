"""What an engine is made of, chosen once, before Verilog is generated.

::

    preset or TOML file ─► configuration ─┬─► sizes: what a program depends on ─► fingerprint
                                          └─► technology: how it is built
"""

from .configuration import PROGRAM_FORMAT, Configuration
from .presets import LARGEST_FILE, PRESETS, load_configuration
from .sizes import Sizes
from .technology import Technology

__all__ = [
    "LARGEST_FILE",
    "PRESETS",
    "PROGRAM_FORMAT",
    "Configuration",
    "Sizes",
    "Technology",
    "load_configuration",
]
