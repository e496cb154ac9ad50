"""Instructions of the link's `Controller`, and the assembler that its firmware is written in.

An instruction has 16 bits. A jump::

    15: 1   14: jumps if the condition is false   13..10: condition   9..0: where

An operation (acc is the accumulator, c the carry)::

    15: 0   14: result goes to memory   13: and to acc
    12: result = acc + operand + carry in; otherwise result = operand
    11..10: operand: 0 value   1 ~value   2 value & acc   3 zero
    9: carry in is c; otherwise it is 1 with ~value
    8: memory is addressed by page and acc; otherwise it is the direct page, by bits 6 to 0
    7: bits 2 to 0 are a source (0: memory), bits 6 to 3 a destination of the result
"""

import enum

from hiddenite.golden.errors import InputError

__all__ = [
    "CODE_WORDS",
    "DIRECT_PAGE",
    "MEMORY_BYTES",
    "Assembler",
    "Condition",
    "Destination",
    "Source",
]

CODE_WORDS = 1024
MEMORY_BYTES = 1024
DIRECT_PAGE = MEMORY_BYTES - 128
"""Where the bytes begin that instructions can name."""


class Source(enum.IntEnum):
    """What an operation takes in place of memory."""

    MEMORY = 0
    RECEIVED = 1
    """The byte that has been received; makes room for the next one."""
    RESULT = 2
    """A byte of the engine's result; goes on to the next one."""
    FLASH = 3
    """The byte that has come from the flash; begins with the next one."""
    STATE = 4
    ERROR = 5
    LAYER = 6
    REMAINING = 7
    """Lowest byte of what remains of a stream from the flash, as a negative number."""


class Destination(enum.IntEnum):
    """Where a result goes besides; the odd ones of pairs end a stream or a body."""

    NONE = 0
    PAGE = 1
    SEND = 2
    SEND_LAST = 3
    PROGRAM = 4
    PROGRAM_LAST = 5
    IMAGE = 6
    IMAGE_LAST = 7
    FLASH = 8
    """Sends the byte to the flash."""
    CONTROL = 9
    """A `FlashControl`; ends what the flash does."""
    REMAINING = 10
    """The highest byte of what remains of a stream; the others go down by one."""
    FAULT = 11
    """Whether the board has nothing to run."""
    BEGIN = 12
    """Resets the engine, its streams, and the second thread."""
    RECEIVE = 13
    """The flag has been seen; makes room for the next byte."""
    OWN = 14
    """Whether the program comes from block RAM."""
    HOST = 15
    """A host has come."""


class Condition(enum.IntEnum):
    """What jumps depend on."""

    TRUE = 0
    ZERO = 1
    """The last result was 0."""
    CARRY = 2
    """The last sum had a carry, the last difference no borrow."""
    RECEIVED = 3
    ENDED = 4
    RIGHT = 5
    CAN_SEND = 6
    PROGRAM_READY = 7
    IMAGE_READY = 8
    IMAGE_WANTED = 9
    RESULT = 10
    FLASH_READY = 11
    """The byte or the stream from the flash is complete."""
    FLASH_RIGHT = 12
    EVENT = 13
    """A byte or a flag has been received, or there is a result."""
    FLASH_MOVED = 14
    """A byte of the stream from the flash has been taken."""
    SWITCH = 15
    """No jump: the other thread goes on."""


class Assembler:
    """Collects instructions and the contents of the memory.

    Labels are texts, and stand for themselves before they are placed. Variables and constants are
    numbers of bytes in the direct page.
    """

    def __init__(self) -> None:
        self._code: list[tuple[int, str | None]] = []
        self._labels: dict[str, int] = {}
        self._constants: dict[int, int] = {}
        self._memory = bytearray(MEMORY_BYTES)
        self._used = 0

    def variables(self, count: int = 1) -> int:
        """Set aside bytes; returns the number of the first."""
        first, self._used = self._used, self._used + count
        if self._used > MEMORY_BYTES - DIRECT_PAGE:
            raise InputError("link: the variables of the firmware do not fit into their page")
        return first

    def constant(self, value: int) -> int:
        """Return where a byte of this value is, which nothing may change."""
        value %= 256
        if value not in self._constants:
            self._constants[value] = self.variables()
            self._memory[DIRECT_PAGE + self._constants[value]] = value
        return self._constants[value]

    def place(self, address: int, data: bytes) -> None:
        """Put bytes into the memory, outside the direct page."""
        self._memory[address : address + len(data)] = data

    def finish(self) -> tuple[list[int], bytes]:
        """Return the code and the memory's contents."""
        if len(self._code) > CODE_WORDS:
            raise InputError("link: the firmware does not fit into its memory")
        return [
            word | (self._labels[label] if label is not None else 0) for word, label in self._code
        ], bytes(self._memory)

    def address(self, label: str) -> int:
        """Return where a label is."""
        return self._labels[label]

    # Jumps.

    def label(self, name: str) -> None:
        assert name not in self._labels, name
        self._labels[name] = len(self._code)

    def jump(self, label: str) -> None:
        self.jump_if(Condition.TRUE, label)

    def jump_if(self, condition: Condition, label: str) -> None:
        self._code.append((1 << 15 | condition << 10, label))

    def jump_unless(self, condition: Condition, label: str) -> None:
        self._code.append((1 << 15 | 1 << 14 | condition << 10, label))

    def switch(self) -> None:
        """Go on with the other thread."""
        self._code.append((1 << 15 | Condition.SWITCH << 10, None))

    # Operations with a byte of the direct page.

    def load(self, at: int) -> None:
        self._operate(at, acc=1)

    def load_constant(self, value: int) -> None:
        self.load(self.constant(value))

    def store(self, at: int) -> None:
        self._operate(at, memory=1, add=1, operand=3)

    def clear(self, at: int) -> None:
        """The byte becomes 0."""
        self._operate(at, memory=1, operand=3)

    def add(self, at: int) -> None:
        self._operate(at, acc=1, add=1)

    def add_carry(self, at: int) -> None:
        self._operate(at, acc=1, add=1, carry=1)

    def subtract(self, at: int) -> None:
        self._operate(at, acc=1, add=1, operand=1)

    def subtract_carry(self, at: int) -> None:
        """Subtract it and the borrow of the difference before."""
        self._operate(at, acc=1, add=1, operand=1, carry=1)

    def mask(self, at: int) -> None:
        self._operate(at, acc=1, operand=2)

    def add_to(self, at: int) -> None:
        """Add the accumulator, which stays, to the byte."""
        self._operate(at, memory=1, add=1)

    # Operations with sources and destinations.

    def take(self, source: Source) -> None:
        self._operate(source, acc=1, outside=1)

    def give(self, destination: Destination) -> None:
        """The accumulator goes there."""
        self._operate(destination << 3, add=1, operand=3, outside=1)

    def move(self, destination: Destination, source: Source) -> None:
        self._operate(destination << 3 | source, outside=1)

    def pass_on(self, destination: Destination, source: Source) -> None:
        """The source goes there, and stays in the accumulator."""
        self._operate(destination << 3 | source, acc=1, outside=1)

    def fetch(self, destination: Destination) -> None:
        """The byte that page and accumulator say goes there."""
        self._operate(destination << 3, outside=1, indirect=1)

    def put(self, source: Source) -> None:
        """The source goes where page and accumulator say."""
        self._operate(source, memory=1, outside=1, indirect=1)

    # Several at once.

    def set(self, at: int, value: int) -> None:
        """The byte becomes a constant, which stays in the accumulator."""
        self.load_constant(value)
        self.store(at)

    def copy(self, source: int, destination: int) -> None:
        """A byte becomes another one, which stays in the accumulator."""
        self.load(source)
        self.store(destination)

    def give_constant(self, destination: Destination, value: int) -> None:
        """A constant goes there, and stays in the accumulator."""
        self.load_constant(value)
        self.give(destination)

    def increase(self, at: int) -> None:
        """Add 1, which stays in the accumulator."""
        self.load_constant(1)
        self.add_to(at)

    def decrease(self, at: int) -> None:
        """Add -1, which stays in the accumulator; no carry: it was 0."""
        self.load_constant(-1)
        self.add_to(at)

    def _operate(
        self, low, *, memory=0, acc=0, add=0, operand=0, carry=0, indirect=0, outside=0
    ) -> None:
        fields = ((memory, 14), (acc, 13), (add, 12), (operand, 10), (carry, 9), (indirect, 8))
        word = low | outside << 7
        for value, place in fields:
            word |= value << place
        self._code.append((word, None))
