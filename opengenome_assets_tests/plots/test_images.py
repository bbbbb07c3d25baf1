"""Figures as bytes."""

import io
import re

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from opengenome_assets.corpus.plots import profiles, sequences
from opengenome_assets.plots import images
from opengenome_assets_tests.corpus.plots.tables import Tables


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def test_the_same_tables_give_the_same_bytes(sample: Tables) -> None:
    first, second = (sequences.gc_histogram(sample.sequence_stats).figure for _ in range(2))
    assert images.to_svg(first) == images.to_svg(second)
    assert images.to_png(first) == images.to_png(second)
    assert images.to_png(first, dpi=60) != images.to_png(first, dpi=70)


def test_svg_needs_no_font_and_has_no_date(sample: Tables) -> None:
    svg = images.to_svg(sequences.gc_histogram(sample.sequence_stats).figure).decode()
    assert "<text" not in svg
    assert "<dc:date>" not in svg
    assert not re.search(r'(?:href|src)="(?!#)', svg)


def test_thumbnail_is_small_and_keeps_its_shape(sample: Tables) -> None:
    png = images.to_png(sequences.gc_histogram(sample.sequence_stats).figure)
    small = images.thumbnail(png, 400)
    with Image.open(io.BytesIO(png)) as large, Image.open(io.BytesIO(small)) as image:
        assert image.width == 400
        assert image.height == round(400 * large.height / large.width)
    assert len(small) < 20_000
    with Image.open(io.BytesIO(images.thumbnail(small, 1000))) as image:
        assert image.width == 400


def test_ink_counts_pixels_that_are_not_background() -> None:
    pixels = np.full((10, 20, 3), 255)
    pixels[5, :10] = (0, 0, 255)
    pixels[6, 0] = (255, 0, 0)
    assert images.ink(_png(pixels)) == images.Ink(11 / 200, 3)


def test_blank_pictures_are_recognised(sample: Tables) -> None:
    assert images.ink(_png(np.full((50, 50, 3), 255))).is_blank
    assert images.ink(images.to_png(Figure())).is_blank
    half = np.full((50, 50, 3), 255)
    half[:25] = 0
    assert images.ink(_png(half)).is_blank, "two colours are no figure"
    assert not images.ink(images.to_png(sequences.gc_histogram(sample.sequence_stats).figure)).is_blank


def test_a_thumbnail_keeps_the_colour_of_one_small_mark(sample: Tables) -> None:
    """The green of the human mitochondrion, the only one of its source, beside many marks in blue and orange."""
    index = sample.tfidf_index
    picture = profiles.kmer_pca(profiles.kmer_profiles(index), index["source"].tolist(), index["length"].tolist())
    with Image.open(io.BytesIO(images.thumbnail(images.to_png(picture.figure), 800))) as small:
        colours = np.array([colour for _, colour in small.convert("RGB").getcolors(1 << 20)])
    green = (0, 158, 115)
    assert np.linalg.norm(colours - green, axis=1).min() < 10
