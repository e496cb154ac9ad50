"""Trains a recipe at many densities and widths, several at a time, and compares what they cost.

Each network is a *point*. A point that is done has a file of its own in the sweep's folder, and a
training that was interrupted goes on from its checkpoint, so that a sweep can be stopped at any
time and goes on where it was.
"""

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.queues import Queue

import torch

from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Network
from hiddenite.training.cost import cost_of, describe
from hiddenite.training.datasets import load
from hiddenite.training.processes import Processes, choose_device
from hiddenite.training.recipe import Recipe
from hiddenite.training.run import Outcome, run


@dataclass(frozen=True, kw_only=True)
class Point:
    """One network of a sweep.

    Attributes
    ----------
    name : str
        Name of its files.
    recipe : Recipe
    """

    name: str
    recipe: Recipe


def points_of(recipe, densities, widths, *, baselines=True):
    """Return the points of a sweep, the cheapest first.

    Parameters
    ----------
    recipe : Recipe
        What they have in common.
    densities, widths : sequence of float
        Each density at each width.
    baselines : bool
        Whether a binary and a dense network of each width come with them.

    Returns
    -------
    list of Point

    Raises
    ------
    InputError
        There is no density or no width, or one of them cannot be.
    """
    for what, values in (("densities", densities), ("widths", widths)):
        if not values:
            raise InputError(f"{what} of a sweep must be at least one, not none")
    points = []
    for width in sorted(set(widths)):
        each = recipe.with_values(width=width)
        if baselines:
            points += [
                Point(name=f"{kind}-w{width:g}", recipe=each.of_kind(kind))
                for kind in ("binary", "dense")
            ]
        points += [
            Point(name=f"hidden-w{width:g}-d{density:g}", recipe=each.with_values(density=density))
            for density in sorted(set(densities))
        ]
    return points


def sweep(points, folder, *, data, jobs, device=None, progress: Callable | None = None):
    """Train all points of a sweep that are not done yet.

    Parameters
    ----------
    points : list of Point
    folder : Path
        Where the files of the points are and come; it is there.
    data : dict
        Arguments for `hiddenite.training.datasets.load`.
    jobs : int
        How many to train at once; they share the processor's cores.
    device : str, optional
        Where to compute.
    progress : callable, optional
        Called with what is being done, how many points are done, of how many, and in words how far
        the others are.

    Raises
    ------
    InputError
        A file of the folder is of another sweep or damaged, or the data cannot be read.
    """
    missing = [point for point in points if _read(folder, point) is None]
    done = len(points) - len(missing)
    report = progress or (lambda *_: None)
    report("train networks", done, len(points), "")
    if not missing:
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    # A process that has used PyTorch's threads cannot be forked.
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    work = partial(_train, folder=folder, data=data, device=device, threads=threads)
    with ProcessPoolExecutor(jobs, context, _begin, (told,)) as pool:
        try:
            for part in _in_order(missing):
                running = {pool.submit(work, point): point for point in part}
                how_far = {}
                while running:
                    finished, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                    while not told.empty():
                        name, fraction = told.get()
                        how_far[name] = f"{name} {fraction:.0%}"
                    for future in finished:
                        point = running.pop(future)
                        how_far.pop(point.name, None)
                        how_far[""] = f"{point.name}: {future.result():.2%} right"
                        done += 1
                    report("train networks", done, len(points), ", ".join(how_far.values()))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _in_order(points):
    """Return the points in two parts, of which the first trains the teachers of the second.

    A teacher is the dense network of a width. Where that is no point itself, it comes with the
    first network that learns from it.
    """
    if not any(point.recipe.distill for point in points):
        return [points]
    first: dict[float, Point] = {}
    for point in sorted(points, key=lambda point: point.recipe.kind != "dense"):
        if point.recipe.kind == "dense" or point.recipe.distill:
            first.setdefault(point.recipe.width, point)
    return [list(first.values()), [point for point in points if point not in first.values()]]


# In a process that trains: where its parent hears how far it is.
_told: "Queue[tuple[str, float]]"


def _begin(told):
    """Begin a process: only its parent is interrupted, and it tells that how far it is."""
    global _told
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _told = told


def _train(point, *, folder, data, device, threads):
    """Train one point in a process of its own; write its files and return its accuracy."""
    torch.set_num_threads(threads)
    checkpoints = folder / f"{point.name}.checkpoints"
    checkpoints.mkdir(exist_ok=True)
    group = Processes(0, 1, choose_device(device))
    before = 0

    def progress(step, done, total, text):
        nonlocal before
        if step.startswith("train") and 100 * done // total != before:
            before = 100 * done // total
            _told.put((point.name, done / total))

    teacher = folder / f"teacher-w{point.recipe.width:g}.pt"
    outcome = run(
        point.recipe, load(**data), group, folder=checkpoints, teacher=teacher, progress=progress
    )
    if outcome.network is not None:
        outcome.network.save(folder / f"{point.name}.safetensors")
    result = {
        name: getattr(outcome, name)
        for name in ("float_accuracy", "accuracy", "class_agreement", "layer_agreement")
    }
    _write_json(folder / f"{point.name}.json", {"recipe": asdict(point.recipe), **result})
    shutil.rmtree(checkpoints)
    return outcome.accuracy


def _write_json(path, value):
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(value, indent=2) + "\n")
    part.replace(path)


def _read(folder, point):
    """Return a point's outcome, or None if it is not done."""
    path = folder / f"{point.name}.json"
    if not path.exists():
        return None
    try:
        value = json.loads(path.read_text())
        recipe = value.pop("recipe")
        network = None
        if point.recipe.kind == "hidden":
            network = Network.load(folder / f"{point.name}.safetensors")
        outcome = Outcome(recipe=point.recipe, network=network, **value)
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        raise InputError(f"{path}: must be a result of a sweep, not a damaged file") from None
    name = point.recipe.difference(recipe)
    if name is not None:
        raise InputError(
            f"{path}: must be of the same sweep: {name} is {getattr(point.recipe, name)!r} now"
            f" and {recipe.get(name)!r} there"
        )
    return outcome


def collect(points, folder, configuration):
    """Return the figures of a sweep that is done.

    Parameters
    ----------
    points : list of Point
    folder : Path
    configuration : Configuration or None
        What programs are compiled for. A network that does not fit it has no program.

    Returns
    -------
    list of dict
        As `describe` makes them, in the order of the points, with `no_program`, why a network has
        no program, or None.
    """
    outcomes = [_read(folder, point) for point in points]
    costs, reasons = {}, {}
    for outcome in outcomes:
        if outcome.network is not None:
            try:
                cost = cost_of(outcome.network, configuration)
            except InputError as error:
                cost = cost_of(outcome.network, None)
                reasons[outcome.recipe] = str(error)
            # Of baselines of the same width, everything but the masks is as large.
            costs[outcome.recipe] = costs[outcome.recipe.width] = cost
    return [
        describe(outcome, costs.get(outcome.recipe, costs.get(outcome.recipe.width)))
        | {"no_program": reasons.get(outcome.recipe)}
        for outcome in outcomes
    ]


def smallest_as_good(results, kind="binary", width=1.0):
    """Return the hidden network of the smallest program that is as accurate as a baseline.

    Parameters
    ----------
    results : list of dict
        What `collect` returned.
    kind : {"binary", "dense"}
        Kind of the baseline.
    width : float
        Its width.

    Returns
    -------
    (dict or None, dict or None)
        That network, if there is one, and the baseline, if it is among the results.
    """
    baseline = next((r for r in results if (r["kind"], r["width"]) == (kind, width)), None)
    if baseline is None:
        return None, None
    good = [
        r
        for r in results
        if r["kind"] == "hidden"
        and r["accuracy"] >= baseline["accuracy"]
        and r["program_bytes"] is not None
    ]
    return min(good, key=lambda r: r["program_bytes"], default=None), baseline
