"""Checkpoints: a training that was interrupted goes on where its last whole epoch ended."""

import os
import pickle
from dataclasses import asdict
from pathlib import Path

import torch

from hiddenite.golden.errors import InputError

FORMAT = 1


def save(path, trainer):
    """Write a trainer's state; the file that was there before is whole until this one is.

    Parameters
    ----------
    path : path-like
        The file; its folder exists.
    trainer : Trainer
        Between two epochs.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    path = Path(path)
    state = {
        "format": FORMAT,
        "recipe": asdict(trainer.recipe),
        "data": trainer.dataset.fingerprint,
        "trainer": trainer.state(),
    }
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        torch.save(state, part)
        part.replace(path)
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{path}: checkpoint cannot be written: {error}") from None


def load(path, trainer):
    """Put a trainer into the state of a checkpoint.

    Parameters
    ----------
    path : path-like
        What `save` wrote.
    trainer : Trainer
        A fresh one for the same recipe and data.

    Raises
    ------
    InputError
        The file cannot be read, or is of another recipe or other data.
    """
    try:
        state = torch.load(path, map_location=trainer.device, weights_only=True)
        found = state["format"], state["recipe"], state["data"], state["trainer"]
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        raise InputError(f"{path}: checkpoint must be a readable one, not a damaged file") from None
    except (KeyError, TypeError):
        raise InputError(f"{path}: checkpoint must be one of this program, not another") from None
    version, recipe, data, inner = found
    if version != FORMAT:
        raise InputError(f"{path}: checkpoint must be of format {FORMAT}, not {version!r}")
    name = trainer.recipe.difference(recipe)
    if name is not None:
        raise InputError(
            f"{path}: checkpoint must be of the same recipe: {name} is"
            f" {getattr(trainer.recipe, name)!r} now and {recipe.get(name)!r} there"
        )
    if data != trainer.dataset.fingerprint:
        raise InputError(
            f"{path}: checkpoint must be of the same data: fingerprint"
            f" {trainer.dataset.fingerprint} now and {data} there"
        )
    try:
        trainer.restore(inner)
    except (InputError, RuntimeError, ValueError, KeyError, TypeError):
        raise InputError(f"{path}: checkpoint must be of the same architecture") from None
