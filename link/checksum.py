"""CRC-32 of zlib, one bit or a few bits at a time."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Checksum"]

_POLYNOMIAL = 0xEDB88320
_RESIDUE = 0xDEBB20E3


class Checksum(wiring.Component):
    """Register of a CRC-32, least significant bit first.

    Parameters
    ----------
    bits : int
        Taken at once, 1 to 5.

    Members
    -------
    start : begins anew; goes before ``shift``
    shift : takes ``bit``
    bit : the next bits, the first one lowest
    empty : ``shift`` moves the register down by ``bits`` and takes nothing, to read it byte by byte
    value : the CRC
    right : the last 32 bits were the CRC of all before them
    """

    def __init__(self, bits: int = 1):
        self.bits = bits
        super().__init__(
            {
                "start": In(1),
                "shift": In(1),
                "bit": In(bits),
                "empty": In(1),
                "value": Out(32),
                "right": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        register = Signal(32, init=(1 << 32) - 1)
        # The polynomial's lowest bits are 0: the next few bits to leave the register do not depend
        # on each other.
        following = register[self.bits :]
        for n in range(self.bits):
            feedback = (register[n] ^ self.bit[n]) & ~self.empty
            polynomial = _POLYNOMIAL >> self.bits - 1 - n
            following = following ^ Mux(feedback, Const(polynomial, 32), 0)
        with m.If(self.start):
            m.d.sync += register.eq(register.init)
        with m.Elif(self.shift):
            m.d.sync += register.eq(following)
        m.d.comb += [self.value.eq(~register), self.right.eq(register == _RESIDUE)]
        return m
