"""Order: which units of a pass start first, and which share a task.

Belongs here: order and load balancing by weight. Does not belong here: running anything.
"""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def heaviest_first(work: Sequence[Item], weights: Sequence[int]) -> list[tuple[int, int, Item]]:
    """Return place, weight and unit of all work, the heaviest first. Equal weights keep their order.

    Raises
    ------
    ValueError
        If the numbers of weights and units differ.
    """
    units = zip(range(len(work)), weights, work, strict=True)
    return sorted(units, key=lambda unit: -unit[1])


def deal(items: Sequence[Item], hands: int) -> list[list[Item]]:
    """Deal items round-robin into hands, so that the heaviest of a sorted deck are spread."""
    return [list(items[hand::hands]) for hand in range(hands)]
