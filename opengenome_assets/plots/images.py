"""A figure as bytes: PNG, SVG, a thumbnail, and a measure that recognises a blank picture.

Belongs here: encoding and measuring pictures. Does not belong here: drawing them, and writing files. Matplotlib is
imported to encode: to measure is Pillow's work.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIN_INK_SHARE = 0.005
MIN_COLOURS = 8


@dataclass(frozen=True)
class Ink:
    """How much there is to see in a picture.

    Attributes
    ----------
    share
        Share of the pixels, 0 to 1, that differ from the background (the colour of the top left pixel).
    colours
        Number of distinct colours, background included.
    """

    share: float
    colours: int

    @property
    def is_blank(self) -> bool:
        """Whether there is almost nothing to see: under 0.5 % of the pixels are drawn, or under 8 colours are used."""
        return self.share < MIN_INK_SHARE or self.colours < MIN_COLOURS


def to_png(figure: Figure, dpi: int = 150) -> bytes:
    """Encode a figure as PNG; the same figure gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from opengenome_assets.plots.style import house_style

    buffer = io.BytesIO()
    # Ticks are created while drawing, so the style must hold here too. Figure.savefig would lay out and walk through
    # every artist once more, without output, before it draws.
    with house_style():
        figure.set_dpi(dpi)
        canvas: Any = FigureCanvasAgg(figure)  # whose methods have no types
        canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def to_svg(figure: Figure) -> bytes:
    """Encode a figure as SVG (UTF-8), letters as outlines, undated; the same figure gives the same bytes."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    from opengenome_assets.plots.style import house_style

    buffer = io.BytesIO()
    with house_style():
        figure.set_dpi(150)  # of what is drawn as pixels
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def thumbnail(png: bytes, width: int = 480) -> bytes:
    """Shrink a PNG to `width` pixels and up to 128 colours: about ten kilobytes, to be embedded in a page.

    A narrower picture keeps its size.
    """
    with Image.open(io.BytesIO(png)) as image:
        small = image.convert("RGB")
        if small.width > width:
            height = max(1, round(small.height * width / small.width))
            small = small.resize((width, height), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        # An octree keeps the colours of single small marks; a median cut takes the nearest large one instead.
        few = small.quantize(128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def ink(png: bytes) -> Ink:
    """Measure how much a PNG shows."""
    with Image.open(io.BytesIO(png)) as image:
        pixels = image.convert("RGB")
    size, background = pixels.width * pixels.height, pixels.getpixel((0, 0))
    counts = pixels.getcolors(size) or []
    drawn = sum(count for count, colour in counts if colour != background)
    return Ink(drawn / size, len(counts))
