import pytest
from rtl_helpers import simulate

from hiddenite.rtl.program.packets import ErrorCode
from hiddenite.rtl.program.supervisor import Supervisor

LIMIT = 9
# Cycles from the last silent one until the engine has stopped: each stream's registers, the count.
LATENCY = 4


async def cycles_until_stop(ctx, dut, most):
    for cycle in range(most):
        if ctx.get(dut.stop):
            return cycle
        await ctx.tick()
    return None


@pytest.mark.parametrize(
    ("program", "image", "first"),
    [
        (ErrorCode.CHECKSUM, ErrorCode.NONE, ErrorCode.CHECKSUM),
        (ErrorCode.NONE, ErrorCode.IMAGE_LONG, ErrorCode.IMAGE_LONG),
        (ErrorCode.OPCODE, ErrorCode.IMAGE_SHORT, ErrorCode.OPCODE),
    ],
)
def test_the_first_error_stays(program, image, first):
    dut = Supervisor(0)

    async def bench(ctx):
        await ctx.tick()
        assert not ctx.get(dut.stop)
        ctx.set(dut.program_error, program)
        ctx.set(dut.image_error, image)
        await ctx.tick()
        assert (ctx.get(dut.stop), ctx.get(dut.error)) == (1, first)
        ctx.set(dut.program_error, ErrorCode.TRAILING)
        await ctx.tick()
        assert (ctx.get(dut.stop), ctx.get(dut.error)) == (1, first)

    simulate(dut, bench)


@pytest.mark.parametrize("name", ["program", "image"])
def test_a_stream_that_has_begun_is_not_waited_for_for_ever(name):
    dut = Supervisor(LIMIT)
    port = getattr(dut, name)
    other = dut.image if name == "program" else dut.program

    async def bench(ctx):
        # One that has not begun may be waited for; so may one while the other brings something.
        ctx.set(port.ready, 1)
        assert await cycles_until_stop(ctx, dut, 3 * LIMIT) is None
        ctx.set(port.begun, 1)
        for _ in range(4):
            ctx.set(other.ready, 1)
            ctx.set(other.valid, 1)
            await ctx.tick()
            ctx.set(other.ready, 0)
            assert await cycles_until_stop(ctx, dut, LIMIT - 1) is None
        ctx.set(other.ready, 1)
        await ctx.tick()
        ctx.set(other.ready, 0)
        assert await cycles_until_stop(ctx, dut, 3 * LIMIT) in range(LIMIT, LIMIT + LATENCY)
        assert ctx.get(dut.error) == ErrorCode.TIMEOUT

    simulate(dut, bench)


def test_without_a_limit_nothing_expires():
    dut = Supervisor(0)

    async def bench(ctx):
        ctx.set(dut.program.begun, 1)
        ctx.set(dut.program.ready, 1)
        assert await cycles_until_stop(ctx, dut, 300) is None

    simulate(dut, bench)
