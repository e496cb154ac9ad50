"""Command about boards: `flash`."""

import json
import tempfile
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


@dataclass(frozen=True)
class _Region:
    """A network's part of the flash: its name, what is written, and where."""

    network: str
    contents: bytes
    address: int


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
    directory = directory or Path("build") / board_name
    if network is not None and image_path is not None:
        _to_file(_region(network, images_path, _Built.load(directory), board_name), image_path)
        return
    board = find_board(board_name)
    built = region = None
    if network is not None:
        built = _Built.load(directory)
        region = _region(network, images_path, built, board_name)
    elif bitstream is None and not keep_bitstream:
        built = _Built.load(directory)
    if built is not None:
        bitstream = bitstream or built.bitstream
    if keep_bitstream:
        bitstream = None
    if bitstream is not None:
        _check_bitstream(bitstream, board, built, to_ram)
    programmer = find_programmer(
        board.programmers, board.name, to_ram=to_ram and not keep_bitstream
    )
    # The network first: a board begins with it as soon as it has its bitstream.
    if region is not None:
        _write_network(programmer, region)
        click.echo(
            f"{board.name}: {clean(region.network)}, {files_size(len(region.contents))}"
            f" at {region.address:#x}"
        )
    if bitstream is not None:
        programmer.write_bitstream(bitstream, to_ram=to_ram)
        where = "in RAM" if to_ram else "in the flash"
        click.echo(f"{board.name}: {clean(bitstream)} {where}")


def _region(network: Network, images_path: Path | None, built: _Built, board_name: str) -> _Region:
    if built.flash_base is None:
        raise InputError(f"board {board_name} was built without a flash for networks")
    c = built.configuration
    program = compile_network(network, c)
    images = () if images_path is None else load_images(images_path, network)
    contents = memory_contents(
        program.bytes,
        [program.image_beats(image).tobytes() for image in images],
        fingerprint=c.fingerprint,
    )
    return _Region(network.name, contents, built.flash_base)


def _to_file(region: _Region, path: Path) -> None:
    with output(path) as file:
        file.write(region.contents)
    click.echo(
        f"{clean(path)}: {files_size(len(region.contents))}, for address {region.address:#x}"
    )


def _check_bitstream(path: Path, board: Board, built: _Built | None, to_ram: bool) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    base = board.flash_base if built is None else built.flash_base
    if not to_ram and base is not None and board.bitstream_base + size > base:
        raise InputError(f"{path}: {size:,} bytes reach over the network in the flash at {base:#x}")


def _write_network(programmer: Programmer, region: _Region) -> None:
    with tempfile.TemporaryDirectory(prefix="hiddenite-") as directory:
        file = Path(directory) / "network.img"
        file.write_bytes(region.contents)
        programmer.write_data(file, region.address)
