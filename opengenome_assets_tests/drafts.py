"""Draft figures, for runs in the test's process whose pictures no test looks at.

A figure is prepared as always, from the same tables and with the same words. Only layout and rendering are left out:
the PNG is a small field of colours and the SVG a line of text, both worked out from what the figure shows. Other data
give other bytes, and the same data the same.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from opengenome_assets.framework import figures

SIDE = 24
ENCODE = figures.encode


@contextmanager
def drafts() -> Iterator[None]:
    """Save figures as drafts."""
    with _saved_by(draft):
        yield


@contextmanager
def rendered() -> Iterator[None]:
    """Save figures as users see them."""
    with _saved_by(ENCODE):
        yield


@contextmanager
def _saved_by(encode: Callable[[Figure], tuple[bytes, bytes]]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "encode", encode)
        yield


def draft(figure: Figure) -> tuple[bytes, bytes]:
    """Return PNG and SVG."""
    return draft_png(figure), draft_svg(figure)


def draft_png(figure: Figure) -> bytes:
    """Return a field of colours that shows something, as the rule of figures asks."""
    colours = np.random.default_rng(list(shown(figure))).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(colours).save(buffer, format="PNG")
    return buffer.getvalue()


def draft_svg(figure: Figure) -> bytes:
    """Return an SVG without a drawing."""
    return f'<svg xmlns="http://www.w3.org/2000/svg"><desc>{shown(figure).hex()}</desc></svg>'.encode()


def shown(figure: Figure) -> bytes:
    """Return a digest of a figure's words and data."""
    digest = hashlib.sha256(repr([*map(Text.get_text, figure.texts)]).encode())
    for axes in figure.axes:
        ticks = [getattr(axis.get_major_formatter(), "seq", ()) for axis in (axes.xaxis, axes.yaxis)]
        words = axes.get_title("left"), axes.get_xlabel(), axes.get_ylabel(), *ticks, *map(Text.get_text, axes.texts)
        digest.update(repr(words).encode())
        data = (
            *(line.get_xydata() for line in axes.lines),
            *(patch.get_patch_transform().transform(patch.get_path().vertices) for patch in axes.patches),
            *(np.asarray(collection.get_offsets()) for collection in axes.collections),
            *(np.ma.filled(mesh.get_array(), np.nan) for mesh in axes.collections if mesh.get_array() is not None),
            *(np.ma.filled(image.get_array(), np.nan) for image in axes.images),
        )
        for each in data:
            digest.update(np.ascontiguousarray(each, dtype=float).tobytes())
    return digest.digest()
