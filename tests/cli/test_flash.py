import json
import struct
from dataclasses import asdict

import numpy as np
import pytest

from hiddenite.compiler.compile import compile_network
from hiddenite.rtl.configuration import PRESETS

TINY = PRESETS["tiny"]
BASE = 0x50000


@pytest.fixture
def built(here):
    """What hiddenite build leaves behind, in build/hx8k."""
    folder = here / "build" / "hx8k"
    folder.mkdir(parents=True)
    (folder / "hx8k.bin").write_bytes(b"bitstream" * 1000)
    report = {"configuration": asdict(TINY), "bitstream": "hx8k.bin", "flash_base": BASE}
    (folder / "report.json").write_text(json.dumps(report))
    return folder


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """A programmer on PATH that keeps what it is given: (arguments, content of the file)."""
    folder = tmp_path / "programs"
    folder.mkdir()
    program = folder / "iceprog"
    program.write_text(
        "#!/bin/sh\n"
        f"n=$(ls {folder} | wc -l)\n"
        f'echo "$@" > {folder}/$n.arguments\n'
        "for file; do :; done\n"
        f'cp "$file" {folder}/$n.file\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def calls():
        files = sorted(folder.glob("*.arguments"), key=lambda file: int(file.stem))
        return [
            (file.read_text().split(), file.with_suffix(".file").read_bytes()) for file in files
        ]

    return calls


def crc(data):
    """CRC-32/BZIP2, most significant byte first."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte << 24
        for _ in range(8):
            state = (state << 1 ^ (0x04C11DB7 if state >> 31 else 0)) & 0xFFFFFFFF
    return (state ^ 0xFFFFFFFF).to_bytes(4, "big")


def parse(contents):
    """Program, images and fingerprint from a flash, as docs/link.md says."""
    assert contents[:4] == b"HDNF"
    assert crc(contents[:20]) == contents[20:24]
    size, image_size, count, fingerprint = struct.unpack_from("<IIII", contents, 4)
    rest = contents[24:]
    program, rest = rest[:size], rest[size:]
    images = []
    for _ in range(count):
        image, rest = rest[:image_size], rest[image_size:]
        checksum, rest = rest[:4], rest[4:]
        assert crc(image) == checksum
        images.append(image)
    assert rest == b""
    return program, images, fingerprint


def test_bitstream_alone(run, built, calls):
    ran = run("flash", "hx8k")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == "hx8k: build/hx8k/hx8k.bin in the flash\n"
    assert calls() == [(["build/hx8k/hx8k.bin"], b"bitstream" * 1000)]


def test_bitstream_into_ram(run, built, calls):
    ran = run("flash", "hx8k", "--to-ram")
    assert ran.status == 0 and "in RAM" in ran.out
    assert calls() == [(["-S", "build/hx8k/hx8k.bin"], b"bitstream" * 1000)]


def test_network_and_images(run, built, calls, network_path, network, images_path):
    ran = run("flash", "hx8k", "--network", network_path, "--images", images_path)
    assert (ran.status, ran.err) == (0, "")
    assert "hx8k: digits, " in ran.out and "at 0x50000" in ran.out
    (data, bitstream) = calls()
    # The network comes before the bitstream, which begins with it.
    assert data[0][:2] == ["-o", str(BASE)] and bitstream[0] == ["build/hx8k/hx8k.bin"]
    program, images, fingerprint = parse(data[1])
    compiled = compile_network(network, TINY)
    assert program == compiled.bytes and fingerprint == TINY.fingerprint
    given = np.load(images_path)
    assert images == [compiled.image_beats(image).tobytes() for image in given]
    assert len(images) == 3


def test_network_alone(run, built, calls, network_path):
    ran = run("flash", "hx8k", "--network", network_path, "--keep-bitstream")
    assert ran.status == 0 and "bitstream" not in ran.out
    ((arguments, contents),) = calls()
    assert arguments[0] == "-o"
    assert parse(contents)[1] == []


def test_into_a_file(run, built, network_path, network, here, monkeypatch):
    monkeypatch.setenv("PATH", "")
    (here / "mine").symlink_to(built)
    ran = run("flash", "mine", "--build", "mine", "--network", network_path, "-o", "x.img")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("x.img: ") and "for address 0x50000" in ran.out
    assert parse((here / "x.img").read_bytes())[0] == compile_network(network, TINY).bytes


def test_another_bitstream(run, built, calls, here):
    (here / "other.bin").write_bytes(b"other")
    assert run("flash", "hx8k", "--bitstream", "other.bin").status == 0
    assert calls() == [(["other.bin"], b"other")]


def test_failing_programmer(run, built, calls, tmp_path):
    (tmp_path / "programs" / "iceprog").write_text("#!/bin/sh\nexit 7\n")
    assert run("flash", "hx8k") == (1, "", "hiddenite: iceprog failed with status 7\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["icebreaker"], "build/icebreaker/report.json: no such file: build the board first, or"),
        (["nothing", "--bitstream", "x"], "board must be one of icebreaker, "),
        (["hx8k", "--images", "x.npy"], "flash: --images needs --network"),
        (["hx8k", "--keep-bitstream"], "flash: there is nothing to write without --network"),
        (["hx8k", "-o", "x.img"], "flash: there is nothing to write without --network"),
        (["hx8k", "--bitstream", "x.bin"], "x.bin: cannot be read: No such file or directory"),
        (["hx8k", "--bitstream", "large.bin"], "large.bin: 327,681 bytes reach over the network"),
        (["hx8k", "--build", "wrong"], "wrong/report.json: not a report of hiddenite build"),
        (["hx8k", "--network", "x.safetensors"], "x.safetensors: no such file"),
    ],
)
def test_refused(refused, here, built, calls, arguments, message):
    (here / "large.bin").write_bytes(bytes(BASE + 1))
    (here / "wrong").mkdir()
    (here / "wrong" / "report.json").write_text("[1]")
    assert refused("flash", *arguments).startswith(message)
    assert calls() == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ("[" * 10**5, ""),
        (b"\xff\xfe", ""),
        ('"text"', ""),
        (" " * (2**20 + 1), ""),
        ({"flash_base": "0x5"}, ""),
        ({"flash_base": True}, ""),
        ({"flash_base": -1}, ""),
        ({"flash_base": 2**32}, ""),
        ({"bitstream": 5}, ""),
        ({"configuration": asdict(TINY) | {"more": 1}}, ""),
        ({"configuration": asdict(TINY) | {"ich": 3}}, ": configuration: ich must be a power of"),
    ],
    ids=range(11),
)
def test_reports_of_something_else(refused, built, calls, changed, reason):
    path = built / "report.json"
    if isinstance(changed, dict):
        changed = json.dumps(json.loads(path.read_text()) | changed)
    path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    line = refused("flash", "hx8k")
    assert line.startswith(f"build/hx8k/report.json: not a report of hiddenite build{reason}")
    assert calls() == []


def test_report_that_cannot_be_read(refused, built):
    (built / "report.json").unlink()
    (built / "report.json").mkdir()
    assert refused("flash", "hx8k") == "build/hx8k/report.json: cannot be read: Is a directory"


def test_board_without_a_flash(refused, built, calls, network_path):
    report = json.loads((built / "report.json").read_text()) | {"flash_base": None}
    (built / "report.json").write_text(json.dumps(report))
    line = refused("flash", "hx8k", "--network", network_path)
    assert line == "board hx8k was built without a flash for networks"
    assert calls() == []


def test_no_programmer(refused, built, monkeypatch):
    monkeypatch.setenv("PATH", "")
    line = refused("flash", "hx8k")
    assert line.startswith("board hx8k needs iceprog or openFPGALoader: iceprog on Debian")
