"""The command `hiddenite`."""

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence

import click
from amaranth.hdl import UnusedElaboratable

from hiddenite.cli import (
    build,
    demonstration,
    design,
    doctor,
    flash,
    importing,
    inference,
    programs,
    run,
    sweep,
    synth,
    training,
)
from hiddenite.cli.display import clean
from hiddenite.golden.errors import InputError

__all__ = ["cli", "main"]

# 128 and the number of the signal, as of a program that the signal has ended.
_INTERRUPTED = 130
_BROKEN_PIPE = 141
_TERMINATED = 143
_LONGEST_MESSAGE = 1000


class _Ended(BaseException):
    """Something from outside ends the command; carries the exit status.

    Not an `Exception`, so that nothing on its way takes it for an error of its own.
    """


class _Commands(click.Group):
    def invoke(self, ctx):
        # Click has its own ways with these two.
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _Ended(_INTERRUPTED) from None
        except BrokenPipeError:
            raise _Ended(_BROKEN_PIPE) from None

    def list_commands(self, ctx):
        return list(self.commands)


@click.group(cls=_Commands, invoke_without_command=True)
@click.version_option(package_name="hiddenite", prog_name="hiddenite")
@click.pass_context
def cli(context: click.Context) -> None:
    """Inference hardware for hidden neural networks: random weights that the chip makes itself,
    and a trained mask of them that it is sent."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for _command in (
    demonstration.demo,
    design.generate_command,
    inference.simulate,
    inference.infer_command,
    programs.estimate_command,
    programs.compile_command,
    synth.synth,
    design.configs,
    training.train,
    importing.import_command,
    sweep.sweep,
    build.build,
    flash.flash,
    run.run,
    doctor.doctor,
):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the program's name; the default is that of this process.

    Returns
    -------
    int
        Exit status: 0; 1 if the hardware is wrong or a program fails; 2 if what the user gave
        cannot be used; 130 after an interrupt.
    """
    try:
        with _termination():
            status = cli.main(args=arguments, prog_name="hiddenite", standalone_mode=False)
            sys.stdout.flush()
        return status or 0
    except InputError as error:
        return _fail(2, str(error))
    except click.ClickException as error:
        message = clean(error.format_message()).removesuffix(".")
        return _fail(2, message[:1].lower() + message[1:])
    except _Ended as end:
        (status,) = end.args
        if status != _BROKEN_PIPE:
            return _fail(status, "interrupted")
    except KeyboardInterrupt:
        return _fail(_INTERRUPTED, "interrupted")
    except BrokenPipeError:
        pass
    except MemoryError:
        return _fail(1, "out of memory")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(1, f"{where}{error.strerror or error}")
    except RuntimeError as error:
        # A program that failed; what follows the first line is the end of its log.
        first, *log = str(error).splitlines() or ["failed"]
        return _fail(1, first, log)
    # Nobody reads any more; Python must not find that out again when it flushes.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _BROKEN_PIPE


def _fail(status: int, message: str, log: Sequence[str] = ()) -> int:
    # What Amaranth says of a design that was given up half-way is no news.
    warnings.simplefilter("ignore", UnusedElaboratable)
    message = clean(message)
    # Names in files may be of any length.
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[:_LONGEST_MESSAGE]}..."
    with contextlib.suppress(OSError):
        print(f"hiddenite: {message}", *log, sep="\n", file=sys.stderr)
    return status


@contextlib.contextmanager
def _termination() -> Iterator[None]:
    """Let a request to terminate leave nothing behind: no half-written file, no simulator."""

    def end(*_: object) -> None:
        raise _Ended(_TERMINATED)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
