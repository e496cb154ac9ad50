"""Trains a recipe: epochs of gradient descent, then the network as the hardware computes it.

Everything random is drawn from the recipe's seed and the number of the epoch, so that a training
that goes on from a checkpoint ends as one that was never interrupted.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from hiddenite.training.architectures import ARCHITECTURES
from hiddenite.training.density import DensitySchedule
from hiddenite.training.exporter.fold import FoldedConv2d, FoldedNetwork, fold
from hiddenite.training.exporter.graph import INPUT_STEP
from hiddenite.training.layers.factory import LayerFactory

CALIBRATION = 10_000
"""Training images, at most, over which the statistics of batch normalisations are taken."""

FOLDED_RATE = 3e-4
"""Learning rate of the folded network, relative to that before. A ResNet-20 on CIFAR-10 learnt
nothing more with ten times that, and diverged with 300 times."""

WARM_UP = 200
"""Steps, at most, over which the learning rate rises."""


def build(recipe, dataset):
    """Return the untrained model of a recipe, with its scores drawn from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    factory = LayerFactory(
        recipe.kind, seed=recipe.weight_seed, density=recipe.density, one_of=recipe.one_of
    )
    architecture = ARCHITECTURES[recipe.architecture]
    model = architecture(
        factory, shape=dataset.shape, classes=len(dataset.classes), width=recipe.width
    )
    return model


def to_input(images, device):
    """Return a model's input, float (N, C, H, W), for uint8 images (N, H, W, C)."""
    return torch.as_tensor(images).to(device).permute(0, 3, 1, 2).float() * INPUT_STEP


def batches(split, size, order):
    """Yield uint8 images and labels, `size` at a time, in an order."""
    for start in range(0, len(order), size):
        part = order[start : start + size]
        yield split.batch(part), split.labels[part]


def parameters_of_folded(model):
    """Return a folded network's parameters, grouped for an optimizer.

    Steps of scales and biases are counted as those of the factors and the offsets of a batch
    normalisation, which are about 1 where a scale is thousands and a bias hundreds. All steps are
    small: nothing normalises activations any more.
    """
    sources: list[nn.Parameter] = []
    groups = [{"params": sources, "factor": FOLDED_RATE}]
    seen = set()
    for layer in model.layers:
        if not isinstance(layer, FoldedConv2d):
            continue
        size = layer.scale.detach().abs().mean().item()
        unit = size * 2.0**-layer.shift * layer.step
        groups += [
            {"params": [layer.scale], "factor": FOLDED_RATE * size**2, "weight_decay": 0.0},
            {"params": [layer.bias], "factor": FOLDED_RATE / unit**2, "weight_decay": 0.0},
        ]
        if id(layer.weights) not in seen:
            seen.add(id(layer.weights))
            sources += layer.weights.parameters()
    return groups


class Trainer:
    """Trains one model.

    In the last epochs, the model is the folded network, which rounds scales and biases as the
    exported file does (`hiddenite.training.exporter.fold`).

    Parameters
    ----------
    recipe : Recipe
        What to do.
    dataset : Dataset
        With what.
    group : Processes
        Where, and with whom.
    teacher : nn.Module, optional
        A trained model on the same device whose answers are learnt too, as far as the recipe's
        `distill` says.

    Attributes
    ----------
    model : nn.Module
    epoch : int
        Epochs that are done.
    """

    def __init__(self, recipe, dataset, group, *, teacher=None):
        self.recipe, self.dataset, self.group = recipe, dataset, group
        self.device, self.teacher = group.device, teacher
        self.batch = min(recipe.batch, len(dataset.train))
        self.steps = len(dataset.train) // self.batch
        self.epoch = 0
        folded = math.ceil(recipe.folded * recipe.epochs)
        self.fold_at = max(1, recipe.epochs - folded)
        model = build(recipe, dataset).to(self.device)
        if group.count > 1 and self.device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        self._use(model, [{"params": list(model.parameters()), "factor": 1.0}])

    def _use(self, model, parameters):
        """Train a model; each group of its parameters has a factor of the learning rate."""
        self.model = model
        recipe = self.recipe
        density = recipe.density or 1 / recipe.one_of
        self.schedule = DensitySchedule(model, density, scope=recipe.scope, ramp=recipe.ramp)
        self.optimizer = torch.optim.SGD(
            parameters,
            lr=recipe.learning_rate,
            momentum=0.9,
            nesterov=True,
            weight_decay=recipe.weight_decay,
        )
        self._replica = DistributedDataParallel(model) if self.group.count > 1 else model

    @property
    def is_folded(self):
        """Whether the model is the folded network."""
        return isinstance(self.model, FoldedNetwork)

    def fold(self):
        """Go on with the folded network."""
        recalibrate(self.model, self.dataset.train, device=self.device, seed=self.recipe.seed)
        model = fold(self.model, to_input(self.dataset.train.batch([0]), self.device))
        self._use(model, parameters_of_folded(model))

    def state(self):
        """Return all that changes from epoch to epoch."""
        return {
            "epoch": self.epoch,
            "folded": self.is_folded,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state):
        """Go back to a state that `state` returned."""
        if state["folded"]:
            self.fold()
        self.epoch = state["epoch"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])

    def rate(self, step):
        """Return the learning rate of a step, counted from 0 over all epochs."""
        begin, end = 0, self.fold_at * self.steps
        rise = min(1.0, (step + 1) / min(WARM_UP, self.steps))
        if step >= end:
            begin, end, rise = end, self.recipe.epochs * self.steps, 1.0
        progress = (step - begin) / max(1, end - begin)
        return self.recipe.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * progress))

    def run_epoch(self, progress=None):
        """Train one epoch.

        Parameters
        ----------
        progress : callable, optional
            Called after each step with the number of steps done, the mean loss and the fraction of
            right answers so far.

        Returns
        -------
        (float, float)
            Mean loss and fraction of right answers, while training.
        """
        recipe = self.recipe
        if self.epoch == self.fold_at and not self.is_folded:
            self.fold()
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.dataset.train), generator=generator).numpy()
        total = recipe.epochs * self.steps
        loss_sum, right, seen = 0.0, 0, 0
        self._replica.train()
        for number in range(self.steps):
            step = self.epoch * self.steps + number
            for settings in self.optimizer.param_groups:
                settings["lr"] = self.rate(step) * settings["factor"]
            self.schedule.step(step / total)
            part = self.group.share(order[number * self.batch : (number + 1) * self.batch])
            images = torch.as_tensor(self.dataset.train.batch(part)).to(self.device)
            inputs = to_input(recipe.augmentation(images, generator), self.device)
            labels = torch.as_tensor(self.dataset.train.labels[part]).to(self.device)
            loss, logits = self._loss(inputs, labels)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            loss_sum += loss.item() * len(labels)
            right += (logits.argmax(1) == labels).sum().item()
            seen += len(labels)
            if progress is not None:
                progress(number + 1, loss_sum / seen, right / seen)
        self.epoch += 1
        loss_sum, right, seen = self.group.total(loss_sum, right, seen)
        return loss_sum / seen, right / seen

    def _loss(self, inputs, labels):
        recipe = self.recipe
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"
        ):
            logits = self._replica(inputs).flatten(1)
        logits = logits.float()
        loss = functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        if self.teacher is not None and recipe.distill:
            with torch.no_grad():
                answers = self.teacher(inputs) / recipe.temperature
            divergence = functional.kl_div(
                functional.log_softmax(logits / recipe.temperature, 1),
                functional.log_softmax(answers, 1),
                reduction="batchmean",
                log_target=True,
            )
            divergence = divergence * recipe.temperature**2
            loss = (1 - recipe.distill) * loss + recipe.distill * divergence
        return loss, logits


@torch.no_grad()
def recalibrate(model, split, *, device="cpu", batch=500, images=CALIBRATION, seed=0):
    """Set the statistics of all batch normalisations to the plain mean over training images.

    While masks still change, running means lag behind.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(split), generator=generator).numpy()[:images]
    model.train()
    for part, _ in batches(split, batch, order):
        model(to_input(part, device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


@torch.no_grad()
def accuracy(model, split, *, device="cpu", batch=500):
    """Return the fraction of a split's images that a model, in its evaluation mode, gets right."""
    model.eval()
    right = 0
    for images, labels in batches(split, batch, np.arange(len(split))):
        answers = model(to_input(images, device)).flatten(1).argmax(1).cpu().numpy()
        right += int((answers == labels).sum())
    return right / len(split)
