"""A whole training: epochs with checkpoints, then the network in integers on all test images."""

import contextlib
import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from hiddenite.golden.inference import infer
from hiddenite.golden.network import Network
from hiddenite.training import checkpoint as checkpoints
from hiddenite.training.exporter.export import agreement, to_network
from hiddenite.training.exporter.fold import fold
from hiddenite.training.lock import alone
from hiddenite.training.recipe import Recipe
from hiddenite.training.trainer import Trainer, accuracy, build, recalibrate, to_input

CHUNK = 500
"""Test images that are judged at once."""

Progress = Callable[[str, int, int, str], None]
"""Called with what is being done, how much of it is done, of how much, and how it goes."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A trained network and how good it is on the test images.

    Attributes
    ----------
    recipe : Recipe
        How it was trained.
    float_accuracy : float
        Fraction of the test images that the trained model gets right, in floating point.
    accuracy : float
        The same in integers: of the network file where weights are hidden.
    class_agreement : float or None
        Fraction of the test images whose class in integers is that of the trained model with the
        network's scales and biases; None where weights are not hidden.
    layer_agreement : dict of str to float
        The same of each layer's activations, one by one.
    network : Network or None
        The network, if its weights are hidden.
    """

    recipe: Recipe
    float_accuracy: float
    accuracy: float
    class_agreement: float | None
    layer_agreement: dict[str, float]
    network: Network | None


def run(recipe, dataset, group, *, folder, teacher=None, progress: Progress | None = None):
    """Train a recipe, its teacher before it if it has one, and judge what comes out.

    Parameters
    ----------
    recipe : Recipe
    dataset : Dataset
    group : Processes
    folder : path-like
        For checkpoints, ``hidden.pt`` and so on for each kind of weights; it is there.
    teacher : path-like, optional
        The teacher's checkpoint, and that of the recipe itself if its weights are dense; the
        default is ``dense.pt`` in `folder`. What of its training is not done yet is done.
    progress : callable, optional

    Returns
    -------
    Outcome

    Raises
    ------
    InputError
        A checkpoint cannot be used or written, or the data do not fit the architecture.
    """
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    checkpoint = Path(folder, f"{recipe.kind}.pt")
    teacher = Path(folder, "dense.pt") if teacher is None else teacher
    teacher_model = None
    if recipe.kind == "dense":
        checkpoint = teacher
    elif recipe.distill:
        dense = recipe.of_kind("dense")
        teacher_model = train(dense, dataset, group, checkpoint=teacher, progress=progress)
    model = train(
        recipe, dataset, group, checkpoint=checkpoint, teacher=teacher_model, progress=progress
    )
    return evaluate(model, recipe, dataset, device=group.device, progress=progress)


def untrained(recipe, dataset):
    """Return a recipe's hidden network before its training, to see what hardware it fits.

    Parameters
    ----------
    recipe : Recipe
    dataset : Dataset

    Returns
    -------
    Network

    Raises
    ------
    InputError
        The data do not fit the architecture.
    """
    model = build(recipe.with_values(kind="hidden"), dataset)
    recalibrate(model, dataset.train, images=32)
    return to_network(fold(model, to_input(dataset.train.batch([0]), "cpu")), name=recipe.name)


def train(
    recipe, dataset, group, *, checkpoint=None, teacher=None, progress: Progress | None = None
):
    """Train a recipe's model, going on from a checkpoint where there is one.

    Parameters
    ----------
    recipe : Recipe
    dataset : Dataset
    group : Processes
    checkpoint : path-like, optional
        Written after each epoch.
    teacher : nn.Module, optional
        As in `Trainer`.
    progress : callable, optional

    Returns
    -------
    FoldedNetwork
        The trained model as the hardware computes it, in its evaluation mode.

    Raises
    ------
    InputError
        The checkpoint cannot be used or written, or another training is writing it.
    """
    trainer = Trainer(recipe, dataset, group, teacher=teacher)
    if checkpoint is not None and Path(checkpoint).exists():
        checkpoints.load(checkpoint, trainer)
    if trainer.epoch < recipe.epochs:
        lock: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if checkpoint is not None and group.first:
            lock = alone(checkpoint, "let it end, or give this one another checkpoint")
        with lock:
            _train(trainer, checkpoint, progress)
    trainer.schedule.step(1.0)
    if not trainer.is_folded:
        trainer.fold()
    return trainer.model.eval()


def _train(trainer, checkpoint, progress):
    """Train the epochs that are not done yet."""
    recipe, group = trainer.recipe, trainer.group
    step = f"train {recipe.kind} {recipe.architecture}"
    total = recipe.epochs * trainer.steps
    while trainer.epoch < recipe.epochs:
        before = trainer.epoch * trainer.steps

        def report(done, loss, right, before=before):
            if progress is not None:
                text = f"epoch {trainer.epoch + 1}, loss {loss:.3f}, {right:.1%} right"
                progress(step, before + done, total, text)

        trainer.run_epoch(report)
        if checkpoint is not None and group.first:
            checkpoints.save(checkpoint, trainer)
        group.wait()


def evaluate(model, recipe, dataset, *, device, progress: Progress | None = None):
    """Judge a trained model on all test images, in integers too.

    Parameters
    ----------
    model : FoldedNetwork
        What `train` returned.
    recipe : Recipe
    dataset : Dataset
    device : torch.device
    progress : callable, optional

    Returns
    -------
    Outcome
    """
    test = dataset.test
    float_accuracy = accuracy(model, test, device=device)
    if recipe.kind != "hidden":
        exact = copy.deepcopy(model).double()
        return Outcome(
            recipe=recipe,
            float_accuracy=float_accuracy,
            accuracy=accuracy(exact, test, device=device),
            class_agreement=None,
            layer_agreement={},
            network=None,
        )
    network = to_network(model, name=recipe.name, classes=dataset.classes)
    right = equal_classes = 0
    equal = dict.fromkeys((layer.name for layer in network.layers), 0)
    for start in range(0, len(test), CHUNK):
        part = range(start, min(start + CHUNK, len(test)))
        images = test.batch(part)
        classes, layers = agreement(model, network, images)
        equal_classes += classes * len(part)
        for layer, fraction in layers.items():
            equal[layer] += fraction * len(part)
        results = infer(network, images).reshape(len(part), -1)
        right += int((results.argmax(1) == test.labels[start : start + len(part)]).sum())
        if progress is not None:
            progress("test in integers", part.stop, len(test), f"{right / part.stop:.2%} right")
    return Outcome(
        recipe=recipe,
        float_accuracy=float_accuracy,
        accuracy=right / len(test),
        class_agreement=equal_classes / len(test),
        layer_agreement={layer: count / len(test) for layer, count in equal.items()},
        network=network,
    )
