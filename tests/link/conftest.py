import pytest
from amaranth.sim import Simulator

from hiddenite.link.controller import Controller
from hiddenite.link.instructions import Destination


@pytest.fixture(params=[2, 5])
def run_firmware(request):
    """Run a firmware for so many instructions."""

    def run(assembler, instructions, conditions=0, second="first"):
        """What goes where: (destination, result) in order; sources give 0x50 and their number."""
        code, memory = assembler.finish()
        places = assembler.address("first"), assembler.address(second)
        dut = Controller(request.param, code, memory, *places)
        given = []

        async def bench(ctx):
            ctx.set(dut.conditions, conditions)
            for _ in range(request.param * instructions):
                ctx.set(dut.value, 0x50 + ctx.get(dut.source))
                if destination := ctx.get(dut.destination):
                    given.append((Destination(destination), ctx.get(dut.result)))
                await ctx.tick()

        simulator = Simulator(dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench)
        simulator.run()
        return given

    return run
