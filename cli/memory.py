"""What `estimate` shows of the activation memory: tensors, and a picture over the layers."""

from hiddenite.cli.display import clean, console, table
from hiddenite.compiler.memory_plan import MemoryPlan, StoredTensor
from hiddenite.compiler.program import Program

__all__ = ["describe_memory", "memory_facts", "show_memory"]

_COLUMNS = 48
_BESIDE = 30
"""Characters of a line that are neither the picture nor the layer's name."""

_MARKS = "·░▒█"
_MARKS_ASCII = ".-+#"
_FREE, _KEPT, _READ, _WRITTEN = range(4)


def describe_memory(program: Program) -> str:
    """Return one line: words that are used, and the layer in which most is alive."""
    plan, c = program.memory, program.configuration
    size = plan.used * c.banks * c.ich
    return (
        f"activation memory {plan.used:,} of {c.activation_words:,} words,"
        f" {size / 1024:,.1f} KiB; most is alive in"
        f" {clean(program.stages[plan.peak].name)}: {plan.live[plan.peak]:,} words"
    )


def memory_facts(program: Program) -> dict[str, object]:
    """Return the plan for JSON; ``first`` and ``last`` count layers from 0, as they are listed."""
    plan, c = program.memory, program.configuration
    return {
        "words": plan.used,
        "available_words": c.activation_words,
        "bytes": plan.used * c.banks * c.ich,
        "most": {
            "layer": program.stages[plan.peak].name,
            "words": plan.live[plan.peak],
        },
        "live_words": list(plan.live),
        "tensors": [
            {
                "name": tensor.name,
                "copy": tensor.copy,
                "over": None if tensor.over is None else plan.tensors[tensor.over].name,
                "inside": None if tensor.inside is None else plan.tensors[tensor.inside].name,
                "address": address,
                "words": tensor.layout.words,
                "bytes": tensor.layout.bytes,
                "first": tensor.first,
                "last": tensor.last,
            }
            for tensor, address in zip(plan.tensors, plan.addresses, strict=True)
        ],
    }


def show_memory(program: Program) -> None:
    """Print a table of the tensors, and who takes what of the memory in each layer."""
    plan, stages = program.memory, program.stages
    rows = [
        [
            tensor.name,
            stages[tensor.last].name,
            _note(plan, tensor),
            f"{address:,}",
            f"{tensor.layout.words:,}",
            f"{tensor.layout.bytes / 1024:,.1f}",
        ]
        for tensor, address in zip(plan.tensors, plan.addresses, strict=True)
    ]
    headings = ["written by", "last read by", "", "address", "words in each bank", "KiB"]
    table(headings, rows, left=3)
    out = console()
    marks = _MARKS_ASCII if out.options.ascii_only else _MARKS
    longest = max(len(clean(stage.name)) for stage in stages)
    each = -(-plan.used // min(_COLUMNS, max(8, out.width - longest - _BESIDE)))
    width = -(-plan.used // each)
    rows = [
        [
            stage.name,
            "".join(marks[use] for use in _uses(plan, number, each, width)),
            f"{plan.live[number]:,}",
            "most" if plan.live[number] == max(plan.live) else "",
        ]
        for number, stage in enumerate(stages)
    ]
    out.print(
        f"\nWords of a bank, {each:,} to a column: {marks[_WRITTEN]} written,"
        f" {marks[_READ]} read, {marks[_KEPT]} kept for later, {marks[_FREE]} free\n"
    )
    table(["layer", "addresses", "words alive", ""], rows, left=2)


def _note(plan: MemoryPlan, tensor: StoredTensor) -> str:
    notes = ["copy"] if tensor.copy else []
    if tensor.over is not None:
        notes.append(f"over {plan.tensors[tensor.over].name}")
    if tensor.inside is not None:
        notes.append(f"in {plan.tensors[tensor.inside].name}")
    return ", ".join(notes)


def _uses(plan: MemoryPlan, stage: int, each: int, width: int) -> list[int]:
    """Return how a stage uses the memory, in ``width`` columns of ``each`` words."""
    uses = [_FREE] * width
    for tensor, address in zip(plan.tensors, plan.addresses, strict=True):
        if tensor.first <= stage <= tensor.last:
            use = _KEPT
            if stage in tensor.writes:
                use = _WRITTEN
            elif stage in tensor.reads:
                use = _READ
            for column in range(address // each, -(-(address + tensor.layout.extent) // each)):
                uses[column] = max(uses[column], use)
    return uses
