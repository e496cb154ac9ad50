"""How much memory a piece of code takes."""

import contextlib
import tracemalloc


@contextlib.contextmanager
def at_most(limit):
    """Fail if the block takes more than so many bytes at once, NumPy's arrays among them."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= limit, f"{peak:,} bytes instead of {limit:,}"
