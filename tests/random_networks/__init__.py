"""Random valid networks, for comparing hardware with the golden model.

Every feature of the format that is allowed occurs within some hundred draws, and each conv is
scaled by what its accumulators are on random images, so that its outputs spread over the range of
their type and a wrong bit shows.

::

    Choices ─┬─► WindowChoices ─► ConvChoices ─┬─► builders of networks
             └─► JoinChoices ──────────────────┘
"""

from .builder import MAX_AVG_POOL_AREA, random_network, random_residual_network
from .features import HARDWARE, VERSION_1, VERSION_2, Feature
from .images import random_images

__all__ = [
    "HARDWARE",
    "MAX_AVG_POOL_AREA",
    "VERSION_1",
    "VERSION_2",
    "Feature",
    "random_images",
    "random_network",
    "random_residual_network",
]
