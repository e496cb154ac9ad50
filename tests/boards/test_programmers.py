import pytest

from hiddenite.boards.boards import BOARDS
from hiddenite.boards.programmers import (
    DFU_UTIL,
    ECPPROG,
    FUJPROG,
    ICEPROG,
    find_programmer,
    open_fpga_loader,
)
from hiddenite.golden.errors import InputError


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Programs on PATH that write down how they are called: (name, ...) -> what they wrote."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    log = tmp_path / "calls.txt"

    def install(*names, status=0):
        for name in names:
            file = folder / name
            file.write_text(f'#!/bin/sh\necho {name} "$@" >> {log}\nexit {status}\n')
            file.chmod(0o755)
        return log

    return install


@pytest.mark.parametrize(
    ("programmer", "flash", "data", "ram"),
    [
        (
            open_fpga_loader("ulx3s"),
            "openFPGALoader -b ulx3s -f x.bit",
            "openFPGALoader -b ulx3s -f -o 2097152 x.img",
            "openFPGALoader -b ulx3s -m x.bit",
        ),
        (ICEPROG, "iceprog x.bit", "iceprog -o 2097152 x.img", "iceprog -S x.bit"),
        (ECPPROG, "ecpprog x.bit", "ecpprog -o 2097152 x.img", "ecpprog -S x.bit"),
        (
            FUJPROG,
            "fujprog -j flash x.bit",
            "fujprog -j flash -f 2097152 x.img",
            "fujprog -j sram x.bit",
        ),
    ],
)
def test_arguments(programs, programmer, flash, data, ram):
    log = programs(programmer.name)
    programmer.write_bitstream("x.bit", to_ram=False)
    programmer.write_data("x.img", 0x200000)
    programmer.write_bitstream("x.bit", to_ram=True)
    assert log.read_text().splitlines() == [flash, data, ram]


def test_boot_loader_of_orangecrab_has_a_setting_for_each_place(programs):
    log = programs("dfu-util")
    DFU_UTIL.write_bitstream("x.bit", to_ram=False)
    DFU_UTIL.write_data("x.img", BOARDS["orangecrab"].flash_base)
    assert log.read_text().splitlines() == [
        "dfu-util -d 1209:5af0 -a 0 -D x.bit",
        "dfu-util -d 1209:5af0 -a 1 -D x.img",
    ]
    with pytest.raises(InputError) as raised:
        DFU_UTIL.write_data("x.img", 0x200000)
    assert str(raised.value) == "flash base must be 0x100000 for dfu-util, not 0x200000"


def test_failure(programs):
    programs("iceprog", status=3)
    with pytest.raises(RuntimeError, match=r"^iceprog failed with status 3$"):
        ICEPROG.write_bitstream("x.bin", to_ram=False)


def test_first_one_that_is_installed(programs):
    programmers = BOARDS["ulx3s-25f"].programmers
    programs("fujprog")
    assert find_programmer(programmers, "ulx3s-25f", to_ram=False) is FUJPROG
    programs("openFPGALoader")
    assert find_programmer(programmers, "ulx3s-25f", to_ram=False).name == "openFPGALoader"


def test_only_one_that_can_load_into_ram(programs):
    programs("openFPGALoader", "iceprog")
    programmers = BOARDS["hx8k"].programmers[::-1]
    assert find_programmer(programmers, "hx8k", to_ram=False).name == "openFPGALoader"
    assert find_programmer(programmers, "hx8k", to_ram=True) is ICEPROG


def test_none_is_installed(programs):
    with pytest.raises(InputError) as raised:
        find_programmer(BOARDS["ulx3s-25f"].programmers, "ulx3s-25f", to_ram=False)
    assert str(raised.value) == (
        "board ulx3s-25f needs openFPGALoader or fujprog: openFPGALoader on Debian and Ubuntu"
        " `apt install openfpgaloader`; fujprog from https://github.com/kost/fujprog"
    )


def test_none_can_load_into_ram(programs):
    programs("openFPGALoader", "iceprog")
    with pytest.raises(InputError) as raised:
        find_programmer(BOARDS["icebreaker"].programmers, "icebreaker", to_ram=True)
    assert str(raised.value) == (
        "board icebreaker: openFPGALoader or iceprog can only write its flash: leave out --to-ram"
    )
