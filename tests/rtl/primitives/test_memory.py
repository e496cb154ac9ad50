import random

import pytest
from amaranth.hdl import Fragment, Module
from rtl_helpers import join, simulate, split

from hiddenite.rtl.primitives.memory import RandomAccessMemory, shared_memory


@pytest.mark.parametrize("depth", [16, 10])
@pytest.mark.parametrize("ports", [1, 2])
@pytest.mark.parametrize("granularity", [24, 8])
def test_reads_and_writes(granularity, ports, depth):
    """Old value where both meet; a cycle that writes keeps what is read with one port."""
    rng = random.Random(granularity)
    dut = RandomAccessMemory(24, depth, granularity, ports)
    parts = 24 // granularity

    async def bench(ctx):
        words, expected = [None] * 16, None  # None: not known, or not there.
        for _ in range(600):
            write = rng.getrandbits(parts) if rng.random() < 0.6 else 0
            target, source = rng.randrange(depth), rng.randrange(16)
            data = rng.getrandbits(24)
            if words[target] is None:
                write = (1 << parts) - 1
            ctx.set(dut.write, write)
            ctx.set(dut.write_address, target)
            ctx.set(dut.write_data, data)
            ctx.set(dut.read_address, source)
            if ports == 2 or not write:
                expected = words[source]
            old = split(words[target] or 0, granularity, parts)
            new = split(data, granularity, parts)
            if write:
                words[target] = join(
                    [new[i] if write >> i & 1 else old[i] for i in range(parts)], granularity
                )
            await ctx.tick()
            if expected is not None:
                assert ctx.get(dut.read_data) == expected

    simulate(dut, bench)


def test_shared_memories_are_named_after_their_shape():
    m = Module()
    different = [
        shared_memory(24, 16),
        shared_memory(24, 32),
        shared_memory(16, 32),
        shared_memory(24, 16, granularity=8),
        shared_memory(24, 16, ports=1),
    ]
    same = shared_memory(24, 16, granularity=24, ports=2)
    m.submodules += [*different, same]
    Fragment.get(m, None)
    assert len({memory.name for memory in different}) == len(different)
    assert same.name == different[0].name
