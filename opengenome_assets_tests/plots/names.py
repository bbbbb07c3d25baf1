"""Long names in figures: they are whole, within the edges, and beside each other."""

from collections.abc import Iterable
from itertools import combinations

from matplotlib.figure import Figure
from matplotlib.text import Text


def texts(figure: Figure) -> list[Text]:
    """The visible texts of a figure, without the empty ones."""
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def assert_names_are_whole(figure: Figure, names: Iterable[str]) -> None:
    """Lay the figure out, and look for each name in its texts: line breaks may stand for blanks, or inside a name."""
    figure.draw_without_rendering()
    flat = {text: "".join(text.get_text().split()) for text in texts(figure)}
    named = {name: [text for text, shown in flat.items() if "".join(name.split()) in shown] for name in names}
    assert [name for name, found in named.items() if not found] == []
    assert not [text for text in texts(figure) if "…" in text.get_text()]
    found = {id(text): text for some in named.values() for text in some}.values()
    boxes = [text.get_window_extent() for text in found]
    edge = figure.bbox
    for box in boxes:
        assert box.x0 >= edge.x0 - 1
        assert box.x1 <= edge.x1 + 1
        assert box.y0 >= edge.y0 - 1
        assert box.y1 <= edge.y1 + 1
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    for ax in figure.axes:  # a legend or a label has not pressed a panel to nothing
        assert ax.get_position().width > 0.1
