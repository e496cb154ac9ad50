import numpy as np
import pytest

from hiddenite.golden.rice import RiceCode


@pytest.mark.parametrize("parameter", range(RiceCode.MAX_PARAMETER + 1))
@pytest.mark.parametrize("density", [0.0, 0.001, 0.05, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("signed", [False, True])
def test_decode_inverts_encode(parameter, density, signed):
    rng = np.random.default_rng(parameter)
    code = RiceCode(parameter, signed)
    for count in (1, 2, 31, 64, 777):
        mask = rng.random(count) < density
        sign = mask & (rng.random(count) < 0.5) & signed
        pieces = code.encode(mask, sign)
        bits = pieces.bits()
        assert len(bits) == pieces.length.sum()
        assert pieces.length.max() <= RiceCode.MAX_PIECE
        assert (
            pieces.length.sum()
            == RiceCode(parameter).encode(mask).length.sum()
            + signed * ((pieces.length != RiceCode.QUOTIENT) | (pieces.value != 15)).sum()
        )
        # What follows belongs to the next mask and must not be touched.
        for own in (bits, np.append(bits, [1, 0, 1])):
            found = code.decode(own, count)
            assert (found[0] == mask).all() and (found[1] == sign).all()
        with pytest.raises(ValueError, match="mask code ends"):
            code.decode(bits[:-1], count)


def test_pieces_start_before_the_end():
    mask = np.zeros(64, bool)
    for parameter in range(5):
        pieces = RiceCode(parameter).encode(mask)
        assert (pieces.start < 64).all()
        assert (np.diff(pieces.start) > 0).all()


def test_known_bits():
    mask = np.array([0, 0, 0, 1, 1, 0, 0], bool)
    # Runs 3, 0 and the closing 2, with one low bit each: 10 1, 0 0, 10 0.
    assert RiceCode(1).encode(mask).bits().tolist() == [1, 0, 1, 0, 0, 1, 0, 0]
    # The sign comes behind the zero; the closing run has none.
    sign = np.array([0, 0, 0, 1, 0, 0, 0], bool)
    expected = [1, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0]
    assert RiceCode(1, signed=True).encode(mask, sign).bits().tolist() == expected


@pytest.mark.parametrize(
    ("density", "bits"), [(0.3, 0.888), (0.2, 0.739), (0.11, 0.511), (0.1, 0.476), (0.05, 0.289)]
)
def test_best_code_is_near_entropy(density, bits):
    mask = np.random.default_rng(1).random(200_000) < density
    code = RiceCode.best([mask])
    length = code.encode(mask).length.sum()
    assert length / len(mask) == pytest.approx(bits, abs=0.004)
    # A bit more for each weight with its sign, and one for a closing run.
    signed = RiceCode.best([mask], signed=True)
    assert signed == RiceCode(code.parameter, signed=True)
    assert 0 <= signed.encode(mask, mask).length.sum() - length - mask.sum() <= 1


def test_parameter_out_of_range():
    with pytest.raises(ValueError, match="Rice parameter must be 0 to 6, not 7"):
        RiceCode(7)
