"""Programs that write bitstreams and networks to boards."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hiddenite.golden.errors import InputError

__all__ = [
    "DFU_UTIL",
    "ECPPROG",
    "FUJPROG",
    "ICEPROG",
    "Programmer",
    "find_programmer",
    "open_fpga_loader",
]


@dataclass(frozen=True, kw_only=True)
class Programmer:
    """A program that writes to a board.

    Attributes
    ----------
    name : str
        Of the program.
    flash : tuple of str
        Arguments that write a bitstream to the flash; the file follows.
    data : tuple of str
        Arguments that write other data; ``{address}`` is where.
    ram : tuple of str or None
        Arguments that load a bitstream until power-off; None if it cannot do that.
    remedy : str
        How to get it.
    data_address : int or None
        The only place that other data can go to; None: anywhere.
    """

    name: str
    flash: tuple[str, ...]
    data: tuple[str, ...]
    ram: tuple[str, ...] | None
    remedy: str
    data_address: int | None = None

    def without_ram(self) -> "Programmer":
        """The same for a board on which it can only write the flash."""
        return replace(self, ram=None)

    def write_bitstream(self, file: Path, *, to_ram: bool) -> None:
        """Write a bitstream.

        Raises
        ------
        RuntimeError
            The program fails; it has said why.
        """
        command = self.ram if to_ram else self.flash
        assert command is not None
        self._run([*command, str(file)])

    def write_data(self, file: Path, address: int) -> None:
        """Write other data to the flash.

        Raises
        ------
        InputError
            It cannot write there.
        RuntimeError
            The program fails; it has said why.
        """
        if self.data_address not in (None, address):
            raise InputError(
                f"flash base must be {self.data_address:#x} for {self.name}, not {address:#x}"
            )
        self._run([*(a.format(address=address) for a in self.data), str(file)])

    def _run(self, arguments: Sequence[str]) -> None:
        done = subprocess.run([self.name, *arguments], check=False)
        if done.returncode:
            raise RuntimeError(f"{self.name} failed with status {done.returncode}")


def open_fpga_loader(board: str, *, ram: bool = True) -> Programmer:
    """openFPGALoader, which calls a board by a name of its own."""
    return Programmer(
        name="openFPGALoader",
        flash=("-b", board, "-f"),
        data=("-b", board, "-f", "-o", "{address}"),
        ram=("-b", board, "-m") if ram else None,
        remedy="on Debian and Ubuntu `apt install openfpgaloader`",
    )


ICEPROG = Programmer(
    name="iceprog",
    flash=(),
    data=("-o", "{address}"),
    ram=("-S",),
    remedy="on Debian and Ubuntu `apt install fpga-icestorm`",
)
ECPPROG = Programmer(
    name="ecpprog",
    flash=(),
    data=("-o", "{address}"),
    ram=("-S",),
    remedy="from https://github.com/gregdavill/ecpprog",
)
FUJPROG = Programmer(
    name="fujprog",
    flash=("-j", "flash"),
    data=("-j", "flash", "-f", "{address}"),
    ram=("-j", "sram"),
    remedy="from https://github.com/kost/fujprog",
)
DFU_UTIL = Programmer(
    name="dfu-util",
    # The boot loader has a setting for each place; it takes no addresses.
    flash=("-d", "1209:5af0", "-a", "0", "-D"),
    data=("-d", "1209:5af0", "-a", "1", "-D"),
    ram=None,
    remedy="on Debian and Ubuntu `apt install dfu-util`",
    data_address=0x10_0000,
)


def find_programmer(programmers: Sequence[Programmer], board: str, *, to_ram: bool) -> Programmer:
    """The first of a board's programmers that is installed.

    Parameters
    ----------
    programmers : sequence of Programmer
    board : str
        Name of the board.
    to_ram : bool
        Whether it must load bitstreams without writing them to the flash.

    Raises
    ------
    InputError
        None is installed, or none can do that.
    """
    able = [p for p in programmers if not to_ram or p.ram is not None]
    if not able:
        names = " or ".join(p.name for p in programmers)
        raise InputError(f"board {board}: {names} can only write its flash: leave out --to-ram")
    for programmer in able:
        if shutil.which(programmer.name):
            return programmer
    ways = "; ".join(f"{p.name} {p.remedy}" for p in able)
    raise InputError(f"board {board} needs {' or '.join(p.name for p in able)}: {ways}")
