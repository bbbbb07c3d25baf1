"""In which order the units of a pass start, and which share a task.

Belongs here: order and balance by weight. Does not belong here: running anything.
"""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def heaviest_first(weights: Sequence[int]) -> list[int]:
    """Return the places of all units, the heaviest first; equal weights keep their order."""
    return sorted(range(len(weights)), key=lambda place: -weights[place])


def deal(items: Sequence[Item], hands: int) -> list[list[Item]]:
    """Deal items into hands, one after the other, so that the heaviest of a sorted deck are spread."""
    return [list(items[hand::hands]) for hand in range(hands)]
