import random

import pytest
from amaranth.sim import Simulator
from link_helpers import PERIOD, receive_bytes, send_bytes

from hiddenite.golden.errors import InputError
from hiddenite.link.uart import UARTReceiver, UARTTransmitter, baud_divisor


def test_divisor():
    assert baud_divisor(24_000_000, 1_000_000) == 24
    assert baud_divisor(48_000_000, 115_200) == 417
    assert baud_divisor(16_000_000, 1_000_000) == 16
    assert baud_divisor(100_000_000, 2_500_000) == 40


@pytest.mark.parametrize(
    "clock_hz, baud, message",
    [
        (12_000_000, 0, "baud rate must be at least 1, not 0"),
        (
            12_000_000,
            4_000_000,
            "baud rate must be at most 1/16 of the clock, 12000000 Hz, not 4000000",
        ),
        (
            100_000_000,
            4_000_000,
            "baud rate must be at most 1/40 of the clock, 100000000 Hz, not 4000000",
        ),
        (
            16_000_000,
            975_000,
            "baud rate must be within 2 % of a whole divisor of the clock, 16000000 Hz, "
            "not 975000: 2.6% off",
        ),
    ],
)
def test_no_divisor(clock_hz, baud, message):
    with pytest.raises(InputError) as caught:
        baud_divisor(clock_hz, baud)
    assert str(caught.value) == message


@pytest.mark.parametrize("divisor", [4, 5, 24])
@pytest.mark.parametrize("stretch", [-0.02, 0, 0.02])
def test_receiver(divisor, stretch):
    """Bytes from a UART that is 2 % too fast or too slow, at any phase."""
    rng = random.Random(divisor)
    dut, sent, got, left = UARTReceiver(divisor), rng.randbytes(60), [], []

    async def bench(ctx):
        clock = now = 0.0
        for byte in sent:
            for bit in (0, *(byte >> i & 1 for i in range(8)), 1):
                ctx.set(dut.rx, bit)
                now += divisor * (1 + stretch)
                while clock < now:
                    await ctx.tick()
                    clock += 1
            if rng.random() < 0.3:
                now += rng.random() * 30
                while clock < now:
                    await ctx.tick()
                    clock += 1
        await ctx.tick().repeat(2 * divisor)
        assert bytes(got) == sent

    async def watch(ctx):
        while True:
            _, _, valid, error, shift, data = await ctx.tick().sample(
                dut.valid, dut.error, dut.shift, dut.data
            )
            assert not error
            if valid:
                got.append(data)
                left.clear()
            elif shift and got:
                left.append(data & 1)
                if len(left) == 8:
                    assert sum(bit << i for i, bit in enumerate(left)) == got[-1]

    _run(dut, bench, watch)


def test_receiver_without_stop_bit_and_short_start_bit():
    dut, events = UARTReceiver(8), []

    async def bench(ctx):
        await send_bytes(ctx, dut.rx, b"\x5a", 8, stop=0)
        await ctx.tick().repeat(100)
        ctx.set(dut.rx, 0)
        await ctx.tick().repeat(2)
        ctx.set(dut.rx, 1)
        await ctx.tick().repeat(100)
        await send_bytes(ctx, dut.rx, b"\xa5", 8)
        await ctx.tick().repeat(10)
        assert events == ["error", 0xA5]

    async def watch(ctx):
        while True:
            _, _, valid, error, data = await ctx.tick().sample(dut.valid, dut.error, dut.data)
            events.extend(["error"] * error + [data] * valid)

    _run(dut, bench, watch)


@pytest.mark.parametrize("divisor", [4, 7])
def test_transmitter(divisor):
    dut, data, got = UARTTransmitter(divisor), bytes(range(0, 256, 5)), []

    async def bench(ctx):
        for byte in data:
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)
            for index in range(8):
                index_is, bit = await ctx.tick().sample(dut.index, dut.bit).until(dut.shift)
                assert (index_is, bit) == (index, byte >> index & 1)
        await ctx.tick().repeat(2 * divisor)
        assert bytes(got) == data

    async def receive(ctx):
        await receive_bytes(ctx, dut.tx, divisor, got)

    _run(dut, bench, receive)


def _run(dut, bench, background):
    simulator = Simulator(dut)
    simulator.add_clock(PERIOD)
    simulator.add_testbench(bench)
    simulator.add_testbench(background, background=True)
    simulator.run()
