from rtl_helpers import simulate

from hiddenite.rtl.program.sequencer import START_CYCLES, Sequencer


def test_layers_one_after_the_other():
    dut = Sequencer()

    async def bench(ctx):
        ctx.set(dut.empty, 1)
        ctx.set(dut.running, 1)
        for number in range(3):
            for _ in range(number + 1):
                assert ctx.get(dut.quiet) and not ctx.get(dut.load)
                await ctx.tick()
            ctx.set(dut.empty, 0)
            for _ in range(number):
                assert ctx.get(dut.load) and not ctx.get(dut.quiet)
                await ctx.tick()
            ctx.set(dut.loaded, 1)
            await ctx.tick()
            ctx.set(dut.loaded, 0)
            for _ in range(START_CYCLES):
                assert ctx.get(dut.start) and not ctx.get(dut.load)
                await ctx.tick()
            ctx.set(dut.empty, 1)
            for _ in range(4):
                assert ctx.get(dut.number) == number
                assert not any(map(ctx.get, (dut.start, dut.load, dut.quiet)))
                await ctx.tick()
            ctx.set(dut.done, 1)
            await ctx.tick()
            ctx.set(dut.done, 0)
            assert ctx.get(dut.number) == number + 1
        ctx.set(dut.running, 0)
        await ctx.tick()
        assert ctx.get(dut.number) == 0

    simulate(dut, bench)


def test_nothing_is_loaded_after_an_error():
    dut = Sequencer()

    async def bench(ctx):
        ctx.set(dut.stop, 1)
        for _ in range(3):
            assert not ctx.get(dut.load) and not ctx.get(dut.start)
            await ctx.tick()

    simulate(dut, bench)
