"""Order and balance."""

import pytest

from opengenome_assets.engine.order import deal, heaviest_first


def test_the_heaviest_come_first_and_equals_in_their_order():
    assert heaviest_first("abcd", [1, 5, 3, 5]) == [(1, 5, "b"), (3, 5, "d"), (2, 3, "c"), (0, 1, "a")]


def test_every_unit_has_a_weight():
    with pytest.raises(ValueError, match="shorter"):
        heaviest_first("abcd", [1, 5, 3])


def test_deal_spreads_the_heaviest():
    assert deal([9, 8, 7, 3, 2, 1], 3) == [[9, 3], [8, 2], [7, 1]]
