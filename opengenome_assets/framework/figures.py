"""Figures: pictures of tables, each as PNG and SVG, beside a record of its origin.

Belongs here: the asset of a figure, keeping it, reusing it, and the rule that it is not blank. Does not belong here:
which figures there are (each group), and how they are drawn (``plots``).
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from opengenome_assets import plots
from opengenome_assets.framework.assets import HOME_POOL
from opengenome_assets.framework.checks import Rule, rule
from opengenome_assets.framework.making import Making, lineage, module_of
from opengenome_assets.framework.summaries import Step, pinned
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.storage.files import read_bytes, write_bytes
from opengenome_assets.storage.record import Provenance, sealed, unsealed
from opengenome_assets.storage.tables import Home

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from opengenome_assets.plots.style import Picture

WORDS = ("title", "caption", "alt")


@dataclass(frozen=True)
class FigureSpec:
    """A figure: its tables, and the function that draws it.

    Attributes
    ----------
    name, description
        The asset, and its subject.
    reads
        The tables.
    draw
        Function from a step, whose tables are pinned, to a picture.
    code_version
        Version of the drawing code, raised whenever the same tables would give another picture.
    """

    name: str
    description: str
    reads: tuple[TableSpec, ...]
    draw: "Callable[[Step], Picture]"
    code_version: str = "1"

    def asset(self) -> dg.AssetsDefinition:
        """Return the asset of the figure."""

        @dg.asset(
            pool=HOME_POOL,
            name=self.name,
            deps=[each.name for each in self.reads],
            code_version=self.code_version,
            kinds={"matplotlib"},
            description=f"{self.description} To see it here, click [Show Markdown] beside 'picture' below.",
        )
        def figure(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult[Any]:
            making = Making(context, module_of(self.draw))
            step = Step(home, pinned(home, self.reads))
            provenance = step.provenance(self.name, self.code_version, {})
            saved = load_figure(home, self.name)
            reused = saved is not None and saved.provenance.data_version == provenance.data_version
            if saved is None or not reused:
                saved = save_figure(home, self.name, self.draw(step), making.recorded(provenance))
            return dg.MaterializeResult(
                metadata={"reused": reused, **making.metadata(), **figure_metadata(saved)},
                data_version=dg.DataVersion(provenance.data_version),
            )

        return figure

    def rule(self) -> Rule:
        """Return the rule that the figure is not blank."""

        @rule(self, "The picture shows something", blocking=False)
        def not_blank(home: Home) -> list[str]:
            saved = load_figure(home, self.name)
            png = read_bytes(saved.png) if saved else None
            if png is None:
                return [f"there is no {self.name}.png in {home.uri}/figures; materialise {self.name}"]
            shown = plots.images.ink(png)
            if shown.is_blank:
                return [f"{self.name}.png is as good as blank: {shown.share:.2%} drawn on, {shown.colours} colours"]
            return []

        return not_blank


@dataclass(frozen=True)
class SavedFigure:
    """A figure on disk: its words, its files with their checksums (SHA-256), its provenance, and its thumbnail.

    The thumbnail is a PNG in base64. It is empty in a record of version 0.1.0.
    """

    name: str
    title: str
    caption: str
    alt: str
    png: str
    svg: str
    png_sha256: str
    svg_sha256: str
    provenance: Provenance
    thumbnail: str = ""

    def record(self) -> bytes:
        """Return the JSON record beside the pictures, with its digest."""
        words = {word: getattr(self, word) for word in (*WORDS, "png_sha256", "svg_sha256", "thumbnail")}
        return sealed({**words, "provenance": self.provenance.model_dump(mode="json")})


def figure_metadata(saved: SavedFigure) -> dict[str, Any]:
    """Return a figure's metadata for the UI."""
    shown = saved.thumbnail or _thumbnail(read_bytes(saved.png) or b"")
    return {
        "picture": dg.MetadataValue.md(f"![{saved.title}](data:image/png;base64,{shown})"),
        "caption": dg.MetadataValue.text(saved.caption),
        "png": dg.MetadataValue.path(saved.png),
        "svg": dg.MetadataValue.path(saved.svg),
        **lineage(saved.provenance),
    }


def encode(figure: "Figure") -> tuple[bytes, bytes]:
    """Return a figure as PNG and as SVG."""
    return plots.images.to_png(figure), plots.images.to_svg(figure)


def save_figure(home: Home, name: str, picture: "Picture", provenance: Provenance) -> SavedFigure:
    """Write a figure as PNG and SVG, and last the record, without which the files do not count."""
    png, svg = encode(picture.figure)
    saved = SavedFigure(
        name,
        picture.title,
        picture.caption,
        picture.alt,
        *_addresses(home, name),
        _sha256(png),
        _sha256(svg),
        provenance,
        _thumbnail(png),
    )
    write_bytes(saved.png, png)
    write_bytes(saved.svg, svg)
    write_bytes(_record_address(home, name), saved.record())
    return saved


def load_figure(home: Home, name: str) -> SavedFigure | None:
    """Return a saved figure; None if there is none or its files were changed."""
    png, svg = _addresses(home, name)
    try:
        record = unsealed(read_bytes(_record_address(home, name)) or b"")
        provenance = Provenance.model_validate(record.pop("provenance"))
        saved = SavedFigure(name=name, png=png, svg=svg, provenance=provenance, **record)
    except (ValueError, LookupError, TypeError):  # missing or damaged: the figure is drawn again
        return None
    found = [_sha256(read_bytes(uri) or b"") for uri in (saved.png, saved.svg)]
    return saved if found == [saved.png_sha256, saved.svg_sha256] else None


def _addresses(home: Home, name: str) -> tuple[str, str]:
    return f"{home.uri}/figures/{name}.png", f"{home.uri}/figures/{name}.svg"


def _record_address(home: Home, name: str) -> str:
    return f"{home.uri}/figures/{name}.json"


def _thumbnail(png: bytes) -> str:
    return b64encode(plots.images.thumbnail(png, width=800)).decode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
