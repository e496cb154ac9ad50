import pytest
from amaranth.sim import Simulator

from hiddenite.link.spi import SPIMaster, bit_cycles


def test_a_flash_is_read_with_at_most_30_mhz():
    found = {mhz: bit_cycles(mhz * 1_000_000) for mhz in (1, 12, 60, 61, 120, 121)}
    assert found == {1: 2, 12: 2, 60: 2, 61: 4, 120: 4, 121: 8}


@pytest.mark.parametrize("cycles", [2, 4])
def test_bytes_both_ways(cycles):
    dut, sent = SPIMaster(cycles), []

    async def bench(ctx):
        for out, back in ((0xA5, 0x3C), (0x01, 0xFE)):
            ctx.set(dut.i, out)
            ctx.set(dut.load, 1)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.load, 0)
            ctx.set(dut.start, 0)
            bits = []
            for cycle in range(8 * cycles):
                assert not ctx.get(dut.ready) and ctx.get(dut.sck) == cycle % cycles * 2 // cycles
                ctx.set(dut.miso, back >> 7 - cycle // cycles & 1)
                if ctx.get(dut.shift):
                    bits.append(ctx.get(dut.mosi))
                await ctx.tick()
            assert ctx.get(dut.ready) and ctx.get(dut.o) == back
            assert int("".join(map(str, bits)), 2) == out
            sent.append(out)
        # What is on its way is given up.
        ctx.set(dut.start, 1)
        await ctx.tick().repeat(2 * cycles + 1)
        ctx.set(dut.start, 0)
        ctx.set(dut.stop, 1)
        await ctx.tick()
        assert ctx.get(dut.ready) and not ctx.get(dut.sck)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(sent) == 2
