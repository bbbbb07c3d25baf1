"""The set of identifiers against Python's own set, and its hash against published values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.kernels.identifiers import SeenIdentifiers, murmur3_128


def add(seen: SeenIdentifiers, names: list[bytes]) -> list[bool]:
    data = np.frombuffer(b"".join(names), np.uint8)
    offsets = np.cumsum([0, *map(len, names)])
    return seen.add(data, offsets).tolist()


@given(st.lists(st.lists(st.binary(max_size=40), max_size=30), max_size=6))
def test_equals_a_set(calls: list[list[bytes]]) -> None:
    seen, twin = SeenIdentifiers(), set()
    for names in calls:
        expected = []
        for name in names:
            expected.append(name in twin)
            twin.add(name)
        assert add(seen, names) == expected
    assert len(seen) == len(twin)


def test_grows() -> None:
    seen = SeenIdentifiers()
    names = [b"NC_%06d.%d" % (number, version) for number in range(50_000) for version in (1, 2)]
    for start in range(0, len(names), 30_000):
        assert not any(add(seen, names[start : start + 30_000]))
    assert len(seen) == len(names)
    assert all(add(seen, names))
    assert len(seen) == len(names)


def test_takes_arrow_offsets() -> None:
    data = np.frombuffer(b"--aba", np.uint8)
    assert SeenIdentifiers().add(data, np.array([2, 3, 4, 5], np.int32)).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "00000000000000000000000000000000"),
        (b"hello", "cbd8a7b341bd9b025b1e906a48ae1d19"),
        (b"The quick brown fox jumps over the lazy dog", "e34bbc7bbc071b6c7a433ca9c49a9347"),
    ],
)
def test_hash_equals_published_values(text: bytes, expected: str) -> None:
    low, high = murmur3_128(np.frombuffer(text, np.uint8), 0, len(text))
    assert f"{low:016x}{high:016x}" == expected
