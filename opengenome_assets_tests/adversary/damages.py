"""What can happen to a file: replaced by a sibling, cut, emptied, flipped in a bit, or deleted.

Belongs here: the damages, drawn from a seed. Does not belong here: what readers have to make of them.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def damages(path: Path, flips: int, chance: random.Random) -> Iterator[tuple[str, bytes | None]]:
    """Yield each damage to a file: what is done, and its bytes after it; None if it is gone."""
    content = path.read_bytes()
    siblings = [
        other for other in sorted(path.parents[1].rglob(f"*{path.suffix}")) if other.is_file() and other != path
    ]
    for sibling in chance.sample(siblings, min(2, len(siblings))):
        if sibling.read_bytes() != content:
            yield f"replaced by {sibling.name}", sibling.read_bytes()
    for size in sorted({0, 1, len(content) // 2, len(content) - 1} & set(range(len(content)))):
        yield f"cut to {size}", content[:size]
    for _ in range(flips if content else 0):
        place, bit = chance.randrange(len(content)), chance.randrange(8)
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        yield f"bit {bit} of byte {place} flipped", bytes(changed)
    yield "deleted", None


@contextmanager
def damaged(path: Path, content: bytes | None) -> Iterator[None]:
    """Let a file have another content, or none, for a while."""
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(whole)
