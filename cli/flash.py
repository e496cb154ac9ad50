"""Command about boards: `flash`."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from hiddenite.boards.boards import Board, find_board
from hiddenite.boards.programmers import Programmer, find_programmer
from hiddenite.boards.project import REPORT_FILE
from hiddenite.cli.display import clean, files_size
from hiddenite.cli.files import load_images, output
from hiddenite.compiler.compile import compile_network
from hiddenite.golden.errors import InputError
from hiddenite.golden.network import Network
from hiddenite.link.memory_contents import memory_contents
from hiddenite.rtl.configuration import Configuration

__all__ = ["flash"]

_LARGEST_REPORT = 2**20


@dataclass(frozen=True)
class _Built:
    """What `hiddenite build` says of a bitstream."""

    configuration: Configuration
    bitstream: Path
    flash_base: int | None

    @classmethod
    def load(cls, directory: Path) -> "_Built":
        path = directory / REPORT_FILE
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST_REPORT + 1)
        except FileNotFoundError:
            raise InputError(
                f"{path}: no such file: build the board first, or give its --build"
            ) from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        try:
            if len(content) > _LARGEST_REPORT:
                raise ValueError
            report = json.loads(content)
            configuration = Configuration(**report["configuration"])
            bitstream, base = report["bitstream"], report["flash_base"]
            if base is not None and (type(base) is not int or not 0 <= base < 1 << 32):
                raise ValueError
            return cls(configuration, directory / bitstream, base)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(f"{path}: not a report of hiddenite build") from None
        except InputError as error:
            raise InputError(f"{path}: not a report of hiddenite build: {error}") from None


@click.command("flash")
@click.argument("board_name", metavar="BOARD")
@click.option(
    "--network",
    callback=lambda _, __, value: value and Network.load(value),
    metavar="NETWORK",
    help="Write this network, too, for boards that run alone or are told to use their own.",
)
@click.option(
    "--images",
    "images_path",
    type=click.Path(path_type=Path),
    metavar="IMAGES.npy",
    help="Images that go with it (default: none).",
)
@click.option(
    "--build",
    "directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="What hiddenite build has made (default: build/BOARD).",
)
@click.option(
    "--bitstream",
    "bitstream",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Another bitstream of the same configuration.",
)
@click.option("--keep-bitstream", is_flag=True, help="Write the network alone.")
@click.option("--to-ram", is_flag=True, help="Load the bitstream until power-off only.")
@click.option(
    "-o",
    "--output",
    "image_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the network's part of the flash to this file, and nothing to the board.",
)
def flash(
    board_name: str,
    network: Network | None,
    images_path: Path | None,
    directory: Path | None,
    bitstream: Path | None,
    keep_bitstream: bool,
    to_ram: bool,
    image_path: Path | None,
) -> None:
    """Write a bitstream to BOARD, and a network behind it.

    With -o, BOARD may be any name; the file then goes to the flash at the address that the report
    of hiddenite build gives.
    """
    if images_path is not None and network is None:
        raise InputError("flash: --images needs --network")
    if network is None and (keep_bitstream or image_path is not None):
        raise InputError("flash: there is nothing to write without --network")
    board = find_board(board_name) if image_path is None else None
    built = None
    if network is not None or (bitstream is None and not keep_bitstream):
        built = _Built.load(directory or Path("build") / board_name)
    contents = None
    if network is not None:
        if built.flash_base is None:
            raise InputError(f"board {board_name} was built without a flash for networks")
        contents = _contents(network, images_path, built.configuration)
    if image_path is not None:
        with output(image_path) as file:
            file.write(contents)
        click.echo(
            f"{clean(image_path)}: {files_size(len(contents))}, for address {built.flash_base:#x}"
        )
        return
    if not keep_bitstream:
        bitstream = bitstream or built.bitstream
        _check_bitstream(bitstream, board, built, to_ram)
    programmer = find_programmer(
        board.programmers, board.name, to_ram=to_ram and not keep_bitstream
    )
    # The network first: a board begins with it as soon as it has its bitstream.
    if contents is not None:
        _write_network(programmer, contents, built.flash_base)
        click.echo(
            f"{board.name}: {clean(network.name)}, {files_size(len(contents))}"
            f" at {built.flash_base:#x}"
        )
    if not keep_bitstream:
        programmer.write_bitstream(bitstream, to_ram=to_ram)
        where = "in RAM" if to_ram else "in the flash"
        click.echo(f"{board.name}: {clean(bitstream)} {where}")


def _contents(network: Network, images_path: Path | None, c: Configuration) -> bytes:
    program = compile_network(network, c)
    images: Sequence = [] if images_path is None else load_images(images_path, network)
    return memory_contents(
        program.bytes,
        [program.image_beats(image).tobytes() for image in images],
        fingerprint=c.fingerprint,
    )


def _check_bitstream(path: Path, board: Board, built: _Built | None, to_ram: bool) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    base = board.flash_base if built is None else built.flash_base
    if not to_ram and base is not None and board.bitstream_base + size > base:
        raise InputError(f"{path}: {size:,} bytes reach over the network in the flash at {base:#x}")


def _write_network(programmer: Programmer, contents: bytes, address: int) -> None:
    with tempfile.TemporaryDirectory(prefix="hiddenite-") as directory:
        file = Path(directory) / "network.img"
        file.write_bytes(contents)
        programmer.write_data(file, address)
