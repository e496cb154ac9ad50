"""One direction of go-back-N: the bytes of programs or images, cut into pieces."""

from collections.abc import Iterable

from hiddenite.link.protocol import (
    HEADER,
    LONGEST_PIECE,
    OFFSET,
    OFFSET_MODULUS,
    PIECE_SHARE,
    FrameType,
)

__all__ = ["PieceStream"]


class PieceStream:
    """Sends items (programs, images) in pieces that the board has room for.

    Offsets count from the beginning of the session and do not wrap. No piece of an item is sent
    before the board has all of the item before it: until then the board tells no room.

    Parameters
    ----------
    frame_type, last_type : FrameType
        Of a piece, and of one that ends an item.
    items : iterable of bytes
        In order, none of them empty.
    buffer : int
        Size of the board's buffer in bytes.
    word : int
        Bytes of the engine's words; pieces hold whole ones.

    Attributes
    ----------
    taken : int
        How much of the stream the board has.
    sent : int
        How much has been sent, and not been given up as lost.
    done : bool
        Whether the board has every item.
    """

    def __init__(
        self,
        frame_type: FrameType,
        last_type: FrameType,
        items: Iterable[bytes],
        buffer: int,
        word: int,
    ) -> None:
        self.taken = self.sent = 0
        self._types = frame_type, last_type
        self._items = iter(items)
        self._buffer = buffer
        # Several pieces fit into the buffer: an answer says what room there was when the piece had
        # just come, so that it takes more of them to keep the line busy.
        most = min(LONGEST_PIECE, buffer // PIECE_SHARE)
        self._longest = max(word, most // word * word)
        self._limit = 0
        self._most_sent = 0
        self._begin = 0
        self._item = next(self._items, None)

    @property
    def done(self) -> bool:
        return self._item is None

    def piece(self, session: int) -> bytes | None:
        """Return the body of the next frame; None if there is nothing or no room for it."""
        if self._item is None:
            return None
        at = self.sent - self._begin
        data = self._item[at : at + self._longest]
        if not data or self.sent + len(data) > self._limit:
            return None
        frame_type = self._types[at + len(data) == len(self._item)]
        body = HEADER.pack(frame_type, session) + OFFSET.pack(self.sent % OFFSET_MODULUS) + data
        self.sent += len(data)
        self._most_sent = max(self._most_sent, self.sent)
        return body

    def update(self, expected: int, room: int) -> bool:
        """Learn from a status what the board expects, and how much room it has.

        Returns
        -------
        bool
            Whether the board has more than before.

        Raises
        ------
        ValueError
            The board cannot mean that.
        """
        more = (expected - self.taken) % OFFSET_MODULUS
        if more > self._most_sent - self.taken:
            raise ValueError(f"it expects offset {expected}, which was never sent")
        if room > self._buffer:
            raise ValueError(f"it has room for {room} bytes in a buffer of {self._buffer}")
        self.taken += more
        self.sent = max(self.sent, self.taken)
        self._limit = self.taken + room
        while self._item is not None and self.taken >= self._begin + len(self._item):
            self._begin += len(self._item)
            self._item = next(self._items, None)
        return more > 0

    def go_back(self) -> None:
        """Send again what the board is not known to have."""
        self.sent = self.taken
