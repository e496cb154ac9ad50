"""Whole boards from their pins: the top that is built, between a UART and a flash."""

from dataclasses import replace

import numpy as np
import pytest

from hiddenite.boards.boards import BOARDS
from hiddenite.boards.project import Project
from hiddenite.boards.simulation import board_verilog, simulated
from hiddenite.compiler.compile import compile_network
from hiddenite.host.board import Board, BoardError
from hiddenite.link.memory_contents import memory_contents
from hiddenite.rtl.configuration import PRESETS
from hiddenite.sim import board as sim_board
from hiddenite.sim.board import SimulatedBoard
from hiddenite.sim.board_port import SimulatedPort

# The line to a fast clock is slow.
TINY = replace(PRESETS["tiny"], timeout_cycles=1 << 20)
BASE = 0x1000

# Where the harness has a link, a whole board: its streams are its own.
SHIM = """
module board_link (
    input clk, input rst, input rx, output tx, output cs, output sck,
    output [3:0] dq_o, output [3:0] dq_oe, input [3:0] dq_i,
    output [{word}:0] program__payload, output program__valid, input program__ready,
    output [{beat}:0] image__payload, output image__valid, input image__ready,
    input [{result}:0] result__payload, input result__valid, output result__ready,
    input [1:0] status__state, input [3:0] status__error, input [15:0] status__layer,
    output engine_reset, output running, output error, output [7:0] number
);
    assign engine_reset = 1'b0;
    assign program__valid = 1'b0;
    assign image__valid = 1'b0;
    assign result__ready = 1'b0;
    {leds}
    top top ({ports});
endmodule
"""


@pytest.fixture
def simulate(monkeypatch):
    """Simulated board of a project: (project, ports of its top, LEDs, content of the flash)."""

    def simulate(project, ports, leds, flash):
        platform = simulated(project.platform)
        top = project.top(platform)
        text = board_verilog(top, platform)
        c = project.configuration
        shim = SHIM.format(
            word=c.program_bits,
            beat=8 * c.post_lanes,
            result=32 * c.post_lanes,
            ports=", ".join(f".{port}({signal})" for port, signal in ports.items()),
            leds=leds,
        )
        monkeypatch.setattr(sim_board, "generate", lambda _: "")
        monkeypatch.setattr(sim_board, "BoardLink", lambda _: None)
        monkeypatch.setattr(sim_board, "convert", lambda *_: text + shim)
        return SimulatedBoard(top.parameters, flash)

    return simulate


def flash_ports(resource, lines, clock):
    """Ports of a flash with so many lines."""
    pins = {f"{resource}__cs__io": "cs", clock: "sck"}
    for n in range(lines):
        for kind in ("i", "o", "oe"):
            pins[f"{resource}__dq_{n}__{kind}"] = f"dq_{kind}[{n}]"
    return pins


PORTS = {
    "clk": "clk",
    "button_0__io": "1'b1",
    "uart_0__rx__io": "rx",
    "uart_0__tx__io": "tx",
    **flash_ports("spi_flash_4x_0", 4, "spi_flash_4x_0__clk__io"),
    "led_g_0__io": "green",
    "led_r_0__io": "red",
}
LEDS = "wire green, red; assign running = ~green; assign error = ~red; assign number = 0;"
POWER_ON_CYCLES = 1000


@pytest.fixture
def icebreaker(simulate, digits):
    """The board, with the digits' program in its flash."""
    program = compile_network(digits[0], TINY).bytes
    contents = b"\xff" * BASE + memory_contents(program, fingerprint=TINY.fingerprint)
    project = replace(Project.of_board(BOARDS["icebreaker"]), configuration=TINY, flash_base=BASE)
    with simulate(project, PORTS, LEDS, contents) as board:
        board.advance(POWER_ON_CYCLES)
        yield board


def test_digits_through_the_uart(icebreaker, digits):
    network, images, expected = digits
    host = Board(SimulatedPort(icebreaker))
    assert (host.info.name, host.info.clock_hz) == ("icebreaker", 24_000_000)
    np.testing.assert_array_equal(host.run(network, images), expected)
    assert not icebreaker.error


def test_program_from_the_flash(icebreaker, digits):
    network, images, expected = digits
    host = Board(SimulatedPort(icebreaker))
    np.testing.assert_array_equal(host.run(network, images, from_memory=True), expected)


def test_flash_of_a_ulx3s(simulate, digits):
    """Its clock goes through the cell USRMCLK, in whose place the simulation has a port."""
    network, images, expected = digits
    program = compile_network(network, TINY).bytes
    contents = b"\xff" * BASE + memory_contents(program, fingerprint=TINY.fingerprint)
    project = replace(Project.of_board(BOARDS["ulx3s-25f"]), configuration=TINY, flash_base=BASE)
    ports = {
        "clk": "clk",
        "button_fire_0__io": "1'b0",
        "uart_0__rx__io": "rx",
        "uart_0__tx__io": "tx",
        **flash_ports("spi_flash_4x_0", 4, "spi_flash_clk"),
        "led_0__io": "running",
        "led_1__io": "error",
    }
    with simulate(project, ports, "", contents) as board:
        board.advance(POWER_ON_CYCLES)
        host = Board(SimulatedPort(board))
        np.testing.assert_array_equal(host.run(network, images, from_memory=True), expected)


def test_flash_of_an_hx8k(simulate, digits):
    """It has two lines, and no WP# and HOLD#, which are pulled up on the board."""
    network, images, expected = digits
    program = compile_network(network, TINY).bytes
    contents = b"\xff" * BASE + memory_contents(program, fingerprint=TINY.fingerprint)
    project = replace(Project.of_board(BOARDS["hx8k"]), configuration=TINY, flash_base=BASE)
    ports = {
        "clk": "clk",
        "uart_0__rx__io": "rx",
        "uart_0__tx__io": "tx",
        **flash_ports("spi_flash_2x_0", 2, "spi_flash_2x_0__clk__io"),
        "led_0__io": "running",
        "led_1__io": "error",
    }
    others = "assign dq_o[3:2] = 2'b11; assign dq_oe[3:2] = 2'b11;"
    with simulate(project, ports, others, contents) as board:
        board.advance(POWER_ON_CYCLES)
        host = Board(SimulatedPort(board))
        np.testing.assert_array_equal(host.run(network, images, from_memory=True), expected)


def test_error_led(icebreaker, digits):
    line = SimulatedPort(icebreaker)
    host = Board(line)
    damaged = replace(compile_network(digits[0], TINY))
    damaged.words[20] ^= 1
    with pytest.raises(BoardError, match="CHECKSUM"):
        host.run_program(damaged, digits[1])
    assert icebreaker.error and not icebreaker.running


def test_baked_program(simulate, digits):
    network, images, expected = digits
    project = Project.of_board(BOARDS["ulx3s-25f"])
    program = compile_network(network, TINY).bytes
    project = replace(
        project,
        configuration=TINY,
        clock_hz=25e6,
        program=program,
        resources=replace(project.resources, flash=None),
    )
    ports = {
        "clk": "clk",
        "button_fire_0__io": "1'b0",
        "uart_0__rx__io": "rx",
        "uart_0__tx__io": "tx",
        "led_0__io": "running",
        "led_1__io": "error",
    }
    with simulate(project, ports, "", b"") as board:
        board.advance(POWER_ON_CYCLES)
        host = Board(SimulatedPort(board))
        assert host.info.name == "ulx3s-25f"
        np.testing.assert_array_equal(host.run(network, images, from_memory=True), expected)


def test_board_alone_shows_classes_on_its_leds(simulate, digits):
    network, images, expected = digits
    c = replace(TINY, post_lanes=1)
    compiled = compile_network(network, c)
    contents = memory_contents(
        compiled.bytes,
        [compiled.image_beats(image).tobytes() for image in images],
        fingerprint=c.fingerprint,
    )
    project = replace(
        Project.of_board(BOARDS["icebreaker"]), configuration=c, flash_base=BASE, standalone=True
    )
    ports = PORTS | {f"led_{2 + bit}__io": f"number[{bit}]" for bit in range(4)}
    leds = LEDS.replace("number", "number[7:4]")
    classes = expected.reshape(len(images), -1).argmax(1).tolist()
    assert len(set(classes)) == len(images)
    shown = []
    with simulate(project, ports, leds, b"\xff" * BASE + contents) as board:
        for _ in range(400):
            board.advance(2000)
            if not shown or board.number != shown[-1]:
                shown.append(board.number)
            if len(shown) > 2 * len(images):
                break
        assert not board.error
        # From the first class on, in turn, over and over.
        shown = shown[shown.index(classes[0]) :]
        assert len(shown) > len(images)
        assert shown == [classes[n % len(images)] for n in range(len(shown))]
        # A host can still come.
        host = Board(SimulatedPort(board), configuration=c)
        np.testing.assert_array_equal(host.run(network, images), expected)
