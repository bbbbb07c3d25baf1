"""Numbers and names as short strings, the same in figures, in the report and on the terminal.

Belongs here: turning one value into a short string. Does not belong here: layout, colours and units of an axis.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

MISSING = "—"


def is_missing(value: object) -> bool:
    """Whether a cell is empty: None, or a number that is not one (NaN)."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def count(value: float) -> str:
    """A whole number with thousands separators: 2229250 is "2,229,250"."""
    return MISSING if is_missing(value) else f"{round(value):,}"


def bases(value: float) -> str:
    """A length in bases with three significant digits: 16569 is "16.6 kb"."""
    if is_missing(value):
        return MISSING
    for size, unit in ((1e9, "Gb"), (1e6, "Mb"), (1e3, "kb")):
        # 999,600 would round to "1000 kb" at three digits: it takes the next unit
        if value >= 0.9995 * size:
            return f"{_three_digits(value / size)} {unit}"
    return f"{_three_digits(value)} bp"


def percent(share: float, digits: int = 1) -> str:
    """A share of one as percent: 0.2264 is "22.6 %"."""
    return MISSING if is_missing(share) else f"{100 * share:.{digits}f} %"


def plural(number: int, noun: str) -> str:
    """A count with its noun: "1 sequence", "1,200 sequences"."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def listing(parts: Sequence[str], limit: int = 8) -> str:
    """Parts separated by commas; after `limit` of them, "and 12 more"."""
    text = ", ".join(parts[:limit])
    return text if len(parts) <= limit else f"{text} and {len(parts) - limit} more"


def printable(text: str) -> str:
    """A text of printable characters only: control characters and those that change direction become "?"."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


def shorten(name: str, limit: int = 28) -> str:
    """A printable name on one line, with an ellipsis in the middle if it is longer than `limit` characters.

    The ends stay, because names of files and folders differ there.
    """
    line = printable(" ".join(name.split()))
    if len(line) <= limit:
        return line
    head = (limit - 1) // 2
    return f"{line[:head]}…{line[len(line) - (limit - 1 - head) :]}"


def pieces(name: str) -> list[str]:
    """A name in the pieces between which a line may break: after a space and after each of ``_ - . / , ;``."""
    return re.findall(r"[^\s_\-./,;]*(?:[\s_\-./,;]+|$)", name)[:-1] or [name]


def wrap(name: str, width: int) -> list[str]:
    """Lines of at most `width` characters that hold a whole name, broken between its `pieces` where they fit."""
    lines = [""]
    for piece in pieces(name):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
        while len(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return [line.rstrip() for line in lines]


def _three_digits(value: float) -> str:
    if value >= 99.95:
        return f"{value:.0f}"
    text = f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".")


def materialize(selection: str) -> str:
    """Return the command that makes the assets of a selection; it works in any folder in which .venv is active."""
    return f"dagster asset materialize -m opengenome_assets.definitions --select '{selection}'"
