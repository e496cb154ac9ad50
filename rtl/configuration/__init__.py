"""What an engine is made of, chosen once, before Verilog is generated."""

from .configuration import PROGRAM_FORMAT, Configuration
from .presets import LARGEST_FILE, PRESETS, load_configuration

__all__ = ["LARGEST_FILE", "PRESETS", "PROGRAM_FORMAT", "Configuration", "load_configuration"]
