"""In which order the units of a pass start, and which share a task.

Belongs here: order and balance by weight. Does not belong here: running anything.
"""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def heaviest_first(work: Sequence[Item], weights: Sequence[int]) -> list[tuple[int, int, Item]]:
    """Return place, weight and unit of all work, the heaviest first; equal weights keep their order.

    Raises
    ------
    ValueError
        If there are not as many weights as units.
    """
    units = zip(range(len(work)), weights, work, strict=True)
    return sorted(units, key=lambda unit: -unit[1])


def deal(items: Sequence[Item], hands: int) -> list[list[Item]]:
    """Deal items into hands, one after the other, so that the heaviest of a sorted deck are spread."""
    return [list(items[hand::hands]) for hand in range(hands)]
