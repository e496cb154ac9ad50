import pytest

from hiddenite.host.piece_stream import PieceStream
from hiddenite.link.protocol import FrameType


def stream(items, buffer=1024, word=1):
    return PieceStream(FrameType.IMAGE, FrameType.IMAGE_LAST, items, buffer, word)


def pieces(s):
    """All frames that may go out now, as (type, offset, bytes)."""
    found = []
    while (body := s.piece(9)) is not None:
        assert body[1] == 9
        found.append((body[0], int.from_bytes(body[2:4], "little"), body[4:]))
    return found


def test_nothing_is_sent_without_room():
    s = stream([b"abc"])
    assert pieces(s) == []
    assert not s.update(0, 1024)
    assert pieces(s) == [(0x21, 0, b"abc")]
    assert not s.done and s.update(3, 0) and s.done


def test_the_next_item_waits_for_the_end_of_the_one_before():
    s = stream([bytes(300), b"next"])
    s.update(0, 1024)
    assert [(kind, offset, len(data)) for kind, offset, data in pieces(s)] == [
        (0x20, 0, 256),
        (0x21, 256, 44),
    ]
    s.update(256, 768)
    assert pieces(s) == []
    s.update(300, 0)
    assert pieces(s) == []
    s.update(300, 1024)
    assert pieces(s) == [(0x21, 300, b"next")]


def test_pieces_are_whole_words_and_several_fit_into_the_buffer():
    s = stream([bytes(1000)], buffer=100, word=8)
    s.update(0, 100)
    assert [(offset, len(data)) for _, offset, data in pieces(s)] == [
        (0, 24),
        (24, 24),
        (48, 24),
        (72, 24),
    ]
    s.update(24, 76)
    assert pieces(s) == []
    s.update(24, 96)
    assert [(offset, len(data)) for _, offset, data in pieces(s)] == [(96, 24)]


def test_go_back_sends_the_same_again():
    s = stream([bytes(range(256)) * 3], buffer=2048)
    s.update(0, 2048)
    first = pieces(s)
    s.update(256, 1792)
    s.go_back()
    assert pieces(s) == first[1:]


def test_an_answer_that_comes_after_going_back_is_believed():
    s = stream([bytes(512)])
    s.update(0, 1024)
    pieces(s)
    s.go_back()
    assert s.update(512, 0) and s.done


def test_offsets_wrap():
    s = stream([bytes([i]) * 30_000 for i in range(5)], buffer=60_000)
    seen = 0
    while not s.done:
        s.update(seen % 65536, 60_000)
        for _, offset, data in pieces(s):
            assert offset == seen % 65536
            seen += len(data)
        s.update(seen % 65536, 0)
    assert seen == s.taken == 150_000


@pytest.mark.parametrize(
    ("expected", "room", "message"),
    [
        (4, 0, "it expects offset 4, which was never sent"),
        (65535, 0, "it expects offset 65535, which was never sent"),
        (0, 1025, "it has room for 1025 bytes in a buffer of 1024"),
    ],
)
def test_what_cannot_be(expected, room, message):
    s = stream([b"abc"])
    s.update(0, 1024)
    pieces(s)
    with pytest.raises(ValueError, match=message):
        s.update(expected, room)
