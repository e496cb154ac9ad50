"""What is trained and how: all that a result depends on, and the recipes that are ready to use."""

from dataclasses import asdict, dataclass, field, replace

from hiddenite.golden.errors import InputError
from hiddenite.training.augmentation import Augmentation
from hiddenite.training.density import SCOPES
from hiddenite.training.layers.factory import KINDS
from hiddenite.training.layers.weights import check_density

DENSITY = 0.3
"""Fraction of the weights that a recipe keeps unless it says otherwise."""

BINARY_RATE = 3
"""Learning rate of a binary network relative to a dense one: it learns best with larger steps, as
only a change of sign changes it. Measured on Fashion-MNIST: of 0.02, 0.1, 0.3 and 1, binary
networks were best at 1, dense and hidden ones at 0.3."""

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the outcome of a training, but the data.

    Parameters
    ----------
    name : str
        Name of the recipe.
    dataset : str
        Name for `hiddenite.training.datasets.load`.
    architecture : str
        One of `hiddenite.training.architectures.ARCHITECTURES`.
    size : int, optional
        Height and width that the images of a folder are brought to.
    epochs, batch : int
        Passes over the training images, and images a step.
    learning_rate, weight_decay : float
        Of stochastic gradient descent with Nesterov momentum 0.9; the rate rises over the first
        epoch's worth of steps (at most 200) and falls along a cosine to 0. In the folded epochs it
        falls once more, from a small part of it.
    label_smoothing : float
        0 to below 1.
    augmentation : Augmentation
        Changes of training images.
    kind : {"hidden", "binary", "dense"}
        Where weights come from.
    density : float, optional
        Fraction of the weights that are kept; without `one_of`, the default is 0.3.
    one_of : int, optional
        Keep one of every `one_of` weights of a row instead, as in `HiddenWeights`; `density` is
        None then.
    scope, ramp
        As in `DensitySchedule`.
    folded : float
        Fraction of the epochs, rounded up, in which the network is trained as the hardware
        computes it, with its rounded scales and biases. They are the last ones, but not the first.
    width : float
        Factor of the architecture's channel counts.
    distill : float
        Weight of a dense teacher's answers in the loss, 0 (no teacher) to 1.
    temperature : float
        What both networks' logits are divided by before they are compared.
    seed : int
        Start of everything random in the training.
    weight_seed : int
        The network's 32-bit seed: start of the signs.
    precision : {"float32", "bfloat16"}
        Of convolutions while training (mixed precision).
    threads : int, optional
        Threads on a CPU, on which the last bits of sums depend; the default is one for each core.

    Raises
    ------
    InputError
        A value breaks one of these rules.
    """

    name: str
    dataset: str
    architecture: str
    epochs: int
    size: int | None = None
    batch: int = 128
    learning_rate: float = 0.1
    weight_decay: float = 1e-4
    label_smoothing: float = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    kind: str = "hidden"
    density: float | None = None
    scope: str = "network"
    ramp: float = 0.0
    one_of: int | None = None
    folded: float = 0.05
    width: float = 1.0
    distill: float = 0.0
    temperature: float = 4.0
    seed: int = 0
    weight_seed: int = 1
    precision: str = "float32"
    threads: int | None = None

    def __post_init__(self):
        if self.one_of is None:
            density = DENSITY if self.density is None else check_density(self.density)
            object.__setattr__(self, "density", density)
        elif self.density is not None:
            raise InputError(
                "density and one_of cannot both be given: one of every"
                f" {self.one_of!r} weights is a density of its own, not {self.density!r}"
            )
        for name, choices in (("kind", KINDS), ("scope", SCOPES), ("precision", PRECISIONS)):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}"
                )
        for name in ("epochs", "batch"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        for name in ("threads", "size"):
            value = getattr(self, name)
            self._check(name, value is None or value >= 1, "at least 1")
        for name in ("width", "learning_rate", "temperature"):
            self._check(name, getattr(self, name) > 0, "above 0")
        for name in ("weight_decay", "seed"):
            self._check(name, getattr(self, name) >= 0, "at least 0")
        for name in ("ramp", "folded", "distill"):
            self._check(name, 0 <= getattr(self, name) <= 1, "from 0 to 1")
        self._check("label_smoothing", 0 <= self.label_smoothing < 1, "at least 0 and below 1")

    def _check(self, name, holds, rule):
        if not holds:
            raise InputError(f"{name} must be {rule}, not {getattr(self, name)!r}")

    def of_kind(self, kind):
        """Return the recipe of the same topology with other weights, and without a teacher."""
        factor = BINARY_RATE if kind == "binary" else 1
        return replace(
            self,
            kind=kind,
            learning_rate=self.learning_rate * factor,
            distill=0.0,
            density=1.0,
            scope=SCOPES[0],
            ramp=0.0,
            one_of=None,
        )

    def with_values(self, **values):
        """Return a copy with other values; those that are None are left as they are.

        `one_of` takes the place of a density that the recipe had.
        """
        given = {name: value for name, value in values.items() if value is not None}
        if "one_of" in given:
            given.setdefault("density", None)
        return replace(self, **given)

    def difference(self, other):
        """Return the first field in which `other`, a dictionary of a recipe, differs, or None."""
        for name, value in asdict(self).items():
            if value != other.get(name):
                return name
        return None


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="digits",
            dataset="digits",
            architecture="digits_cnn",
            epochs=100,
            batch=64,
            label_smoothing=0.1,
            threads=1,
            augmentation=Augmentation(shift=1, rotation=11, scaling=0.13),
        ),
        Recipe(
            name="fashion",
            dataset="fashion-mnist",
            architecture="fashion_cnn",
            epochs=20,
            learning_rate=0.3,
            ramp=0.5,
        ),
        Recipe(
            name="cifar10",
            dataset="cifar-10",
            architecture="resnet18",
            epochs=100,
            learning_rate=0.3,
            ramp=0.5,
            augmentation=Augmentation(shift=4, flip=True),
        ),
        Recipe(
            name="cifar100",
            dataset="cifar-100",
            architecture="resnet18",
            epochs=100,
            learning_rate=0.3,
            ramp=0.5,
            augmentation=Augmentation(shift=4, flip=True),
        ),
        Recipe(
            name="images",
            dataset="images",
            architecture="resnet50",
            epochs=100,
            batch=256,
            size=224,
            learning_rate=0.3,
            ramp=0.5,
            augmentation=Augmentation(rotation=5, scaling=0.25, flip=True),
        ),
    )
}
"""The recipes that are ready to use, by name."""
