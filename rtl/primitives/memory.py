"""Memory whose contents are unknown until they are written, as in an SRAM macro.

Amaranth's own memories have initial values, which neither an SRAM macro nor the SPRAM of an iCE40
has, and which take megabytes of Verilog. In emitted Verilog this one is a small module of its own,
written out below, to be replaced by a macro where there is one.
"""

from dataclasses import dataclass

from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .shared_module import SharedModule

__all__ = ["MemoryShape", "RandomAccessMemory", "shared_memory"]


@dataclass(frozen=True)
class MemoryShape:
    """One kind of memory in an engine: ``count`` of ``depth`` words of ``width`` bits.

    ``distributed`` ones are read without a clock, which block RAM is not.
    """

    name: str
    count: int
    depth: int
    width: int
    ports: int
    distributed: bool = False


def shared_memory(width: int, depth: int, *, granularity: int | None = None, ports: int = 2):
    """A `RandomAccessMemory` as a `SharedModule`, named after its shape."""
    granularity = width if granularity is None else granularity
    name = f"memory_{depth}x{width}_{width // granularity}w{ports}p"
    return SharedModule(name, RandomAccessMemory, width, depth, granularity, ports)


class RandomAccessMemory(wiring.Component):
    """One write and one read a cycle, or (one port) one of them. Latency of a read: 1 cycle.

    What is read of a word that is written in the same cycle means nothing; with one port, a cycle
    that writes keeps ``read_data``.

    Parameters
    ----------
    width, depth : int
        Bits of a word; number of words, at least 2. Of an address behind the last word, what is
        read means nothing.
    granularity : int
        Bits that are written together.
    ports : int
        2: the addresses are independent. 1: in a cycle that writes, nothing is read.

    Members
    -------
    write : which parts of ``granularity`` bits are written
    write_address, write_data, read_address, read_data
    """

    def __init__(self, width: int, depth: int, granularity: int, ports: int):
        self.width, self.depth, self.granularity, self.ports = width, depth, granularity, ports
        super().__init__(
            {
                "write": In(width // granularity),
                "write_address": In(ceil_log2(depth)),
                "write_data": In(width),
                "read_address": In(ceil_log2(depth)),
                "read_data": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = memory.Memory(shape=self.width, depth=self.depth, init=[])
        write = words.write_port(granularity=self.granularity)
        read = words.read_port()
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            read.en.eq(~self.write.any() if self.ports == 1 else 1),
            read.addr.eq(self.read_address),
            self.read_data.eq(read.data),
        ]
        return m

    def verilog(self, name: str) -> str:
        """The module's text."""
        width, depth, bits = self.width, self.depth, ceil_log2(self.depth)
        parts = range(width // self.granularity)
        writes = "\n".join(
            f"    if (write[{i}]) words[{'address' if self.ports == 1 else 'write_address'}]"
            f"[{i * self.granularity} +: {self.granularity}]"
            f" <= write_data[{i * self.granularity} +: {self.granularity}];"
            for i in parts
        )
        if self.ports == 1:
            address = f"  wire [{bits - 1}:0] address = |write ? write_address : read_address;\n"
            read = "    if (!(|write)) read_data <= words[address];"
        else:
            address, read = "", "    read_data <= words[read_address];"
        return f"""\
// {depth} words of {width} bits, written in parts of {self.granularity}, {self.ports} port(s).
// The contents are unknown until they are written. To be replaced by a macro where there is one.
// No word is read for use while it is written: Yosys need not care which one comes out.
module {name} (
  input clk,
  input rst,
  input [{len(parts) - 1}:0] write,
  input [{bits - 1}:0] write_address,
  input [{width - 1}:0] write_data,
  input [{bits - 1}:0] read_address,
  output reg [{width - 1}:0] read_data
);
  (* no_rw_check *) reg [{width - 1}:0] words [0:{depth - 1}];
{address}  always @(posedge clk) begin
{writes}
{read}
  end
  wire unused = rst;
endmodule
"""
