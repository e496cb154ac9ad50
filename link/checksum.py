"""CRC-32 of zlib, one bit at a time."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Checksum"]

_POLYNOMIAL = 0xEDB88320
_RESIDUE = 0xDEBB20E3


class Checksum(wiring.Component):
    """Register of a CRC-32, least significant bit first.

    Members
    -------
    start : begins anew; goes before ``shift``
    shift : takes ``bit``
    bit
    empty : ``shift`` moves the register down and takes nothing, to read it byte by byte
    value : the CRC
    right : the last 32 bits were the CRC of all before them
    """

    start: In(1)
    shift: In(1)
    bit: In(1)
    empty: In(1)
    value: Out(32)
    right: Out(1)

    def elaborate(self, platform):
        m = Module()
        register = Signal(32, init=(1 << 32) - 1)
        feedback = (register[0] ^ self.bit) & ~self.empty
        with m.If(self.start):
            m.d.sync += register.eq(register.init)
        with m.Elif(self.shift):
            m.d.sync += register.eq(register[1:] ^ Mux(feedback, Const(_POLYNOMIAL, 32), 0))
        m.d.comb += [self.value.eq(~register), self.right.eq(register == _RESIDUE)]
        return m
