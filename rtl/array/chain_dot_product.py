"""A dot product as a systolic chain of ECP5 carry cells: mask and sign cost no LUT.

::

    x0 ─ XOR sign ─ AND mask ─►│─ + ─►│─ + ─►│─ ... ─►│─ + ─► accumulator ─► total
                                  ▲      ▲               ▲
                      x1, mask, sign  x2, mask, sign   accumulator

Each stage adds one input to the partial sum in the LUTs of its carry cells and has a register
behind it, so input i comes i cycles after input 0.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring

from ..primitives.shared_module import SharedModule
from .carry_chain import ACCUMULATE, ADD, ADD_MASKED, CLEARABLE, PASS, ZERO, Bit, CarryChain
from .dot_product import DotProductSignature, masked

__all__ = ["ChainDotProduct"]


class ChainDotProduct(wiring.Component):
    """Chain of adders; for members see `DotProductSignature`.

    Input i of ``pixel``, ``mask`` and ``sign`` comes i cycles late; "the operands of n cycles ago"
    are those whose input 0 came then.

    Parameters
    ----------
    ich : int
        Number of PEs.
    accumulator_bits : int
        Width of the accumulator.
    """

    def __init__(self, ich: int, accumulator_bits: int):
        self.ich, self.accumulator_bits = ich, accumulator_bits
        super().__init__(DotProductSignature(ich, accumulator_bits, self.latency(ich)))

    @staticmethod
    def latency(ich: int) -> int:
        """Cycles from the first operand to the total: a stage for each input, the accumulator."""
        return ich + 1

    def elaborate(self, platform):
        m = Module()
        chains = []

        def chain():
            """A chain for a stage.

            Stages could share one, with a zero between, for up to two cells less each; but long
            chains are hard to place, and timing analysis takes all of one for a path.
            """
            chains.append(_Chain())
            return chains[-1]

        def register(value):
            kept = Signal(len(value), reset_less=True)
            m.d.sync += kept.eq(value)
            return kept

        # The partial sum is low + 256 * (high + spare). An even stage only keeps the carry of its
        # eight bits, as spare; the next one adds both carries to high at once.
        low, high, spare = register(masked(self.pixel[:8], self.mask[0], self.sign[0])), None, None
        for stage in range(1, self.ich):
            own = chain()
            pixel = self.pixel.word_select(stage, 8)
            total = own.add(ADD_MASKED, 8, low, pixel, self.mask[stage], self.sign[stage])
            if stage % 2 == 0:
                spare = register(own.add(ZERO, 1))
                high = register(high)
            elif high is None:
                high = register(own.add(ZERO, 1))
            else:
                # At most ``stage`` carries so far, so the highest bit has none. The zero on top
                # makes the next addition one of its own: unknown bits of a sum stay in it.
                above = [own.add(ADD, 1, high[0], spare)]
                above.append(own.add(PASS, len(high) - 1, high[1:]))
                above.append(own.add(ZERO, 1))
                high = register(Cat(above)[: stage.bit_length()])
            low = register(total)

        own = chain()
        accumulator = Signal(self.accumulator_bits, reset_less=True)
        terms = low if high is None else Cat(low, high)
        total = own.add(ACCUMULATE, len(terms), accumulator[: len(terms)], terms, self.first)
        above = accumulator[len(terms) :]
        total = Cat(total, own.add(CLEARABLE, len(above), above, self.first))
        with m.If(self.valid[-1]):
            m.d.sync += accumulator.eq(total)
        m.d.comb += self.total.eq(accumulator)
        for number, own in enumerate(chains):
            m.submodules[f"chain_{number}"] = own.connect(m, f"carry_chain_{number}")
        return m


class _Chain:
    """A carry chain while runs are put on top of it."""

    def __init__(self):
        self._runs, self._operands, self._totals = [], [], []

    def add(self, bit: Bit, width: int, *operands) -> Signal:
        """Put a run on top, with the inputs that it needs; return its sum."""
        total = Signal(width)
        if width:
            self._runs.append((bit, width))
            self._operands.append(operands)
            self._totals.append(total)
        return total

    def connect(self, m: Module, name: str) -> SharedModule:
        """Make the chain; its module has this name."""
        shared = SharedModule(name, CarryChain, tuple(self._runs), clocked=False)
        for number, (bit, _) in enumerate(self._runs):
            for port, operand in zip(bit.inputs, self._operands[number], strict=True):
                m.d.comb += getattr(shared.ports, f"{port}_{number}").eq(operand)
            m.d.comb += self._totals[number].eq(getattr(shared.ports, f"s_{number}"))
        return shared
