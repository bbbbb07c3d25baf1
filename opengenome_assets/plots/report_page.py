"""The report as one HTML page: plain data in, a string out.

Belongs here: the parts of a report, and their rendering through `report.html.j2`. Does not belong here: choosing its
content (`report_sections`), and reading tables or writing files.

The page needs no network, no script and no second file. Every text is escaped, because headers of FASTA files may
hold anything.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from opengenome_assets import words

Cell = str | int | float | None
"""One value of a table; None and NaN are shown as a dash."""

MAX_SVG_BYTES = 400_000
"""A larger SVG is replaced by the PNG if that is smaller: scatter plots of many sequences have many shapes."""


@dataclass(frozen=True)
class ReportColumn:
    """A column of a table: its heading and how its cells are written.

    `kind` is "text", "code" (short, in fixed width), "quote" (long, in fixed width, broken anywhere), "count"
    (thousands separators), "bases" (kb, Mb), "percent" (of a share of one) or "number" (two decimals).
    """

    label: str
    kind: Literal["text", "code", "quote", "count", "bases", "percent", "number"] = "text"

    @property
    def is_numeric(self) -> bool:
        """Whether cells are flush right."""
        return self.kind in ("count", "bases", "percent", "number")

    def write(self, cell: Cell) -> str:
        """A cell as text."""
        if words.is_missing(cell):
            return words.MISSING
        if isinstance(cell, str):
            return cell
        assert cell is not None
        match self.kind:
            case "count":
                return words.count(cell)
            case "bases":
                return words.bases(cell)
            case "percent":
                return words.percent(cell, 2)
            case "number":
                return f"{cell:,.2f}"
            case _:
                return str(cell)


@dataclass(frozen=True)
class ReportTable:
    """Rows under a caption; the first cell of a row names it."""

    caption: str
    columns: Sequence[ReportColumn]
    rows: Sequence[Sequence[Cell]]

    @property
    def shown_caption(self) -> str:
        """The caption; it says so where there are no rows."""
        return self.caption if self.rows else f"{self.caption.removesuffix('.')}: none."


@dataclass(frozen=True)
class Illustration:
    """A figure as bytes with its title, caption and text alternative; `media_type` is image/svg+xml or image/png."""

    title: str
    caption: str
    alt: str
    image: bytes
    media_type: str

    @classmethod
    def of(cls, title: str, caption: str, alt: str, *, svg: bytes, png: bytes) -> Illustration:
        """Take the SVG, or the PNG where the SVG is large and the PNG smaller."""
        if len(svg) <= max(MAX_SVG_BYTES, len(png)):
            return cls(title, caption, alt, svg, "image/svg+xml")
        return cls(title, caption, alt, png, "image/png")

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return f"data:{self.media_type};base64,{b64encode(self.image).decode('ascii')}"


@dataclass(frozen=True)
class Section:
    """A part of the report: words, then figures, then tables."""

    title: str
    text: str = ""
    figures: Sequence[Illustration] = ()
    tables: Sequence[ReportTable] = ()


@dataclass(frozen=True)
class Fact:
    """One number at the top of the report, with its label."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Origin:
    """How one table was made.

    Attributes
    ----------
    name, version, rows
        The asset, its table's version and number of rows.
    code_version
        Version of the code that made it.
    settings
        Settings by name.
    inputs
        Name of each input table or file, and its version or hash.
    run_id, made_at
        The run that made it and the time, in the form for the reader.
    checks
        Outcome of its checks in words, such as "5 of 5 passed"; "" where none is known.
    """

    name: str
    version: int
    rows: int
    code_version: str
    settings: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    run_id: str = ""
    made_at: str = ""
    checks: str = ""


@dataclass(frozen=True)
class Notice:
    """A warning for the reader: missing or stale tables, or files left out.

    Attributes
    ----------
    text
        The warning; a heading, if there are items.
    items
        Each thing that it is about.
    remedy, command
        The remedy in words, and the command that they end with.
    """

    text: str
    items: Sequence[str] = ()
    remedy: str = ""
    command: str = ""

    @property
    def line(self) -> str:
        """The warning with its items on one line."""
        return " ".join((self.text, "; ".join(self.items))).strip()


@dataclass(frozen=True)
class Report:
    """Everything on the page, in its order.

    `warnings` are sentences of checks about the content. `notices` names the tables that are missing or were made from
    another corpus; none means that all agree. `tree` has the inputs of the page, down to files, as lines of text.
    """

    title: str
    generated: str
    summary: Sequence[Fact]
    sections: Sequence[Section]
    provenance: Sequence[Origin]
    notices: Sequence[Notice] = ()
    tree: Sequence[str] = ()
    warnings: Sequence[str] = ()


def render(report: Report) -> str:
    """Render the report as a self-contained HTML5 document."""
    return _TEMPLATES.get_template("report.html.j2").render(report=report)


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _breakable(name: str) -> Markup:
    """A name that may break between its pieces; at a space it may anyway."""
    marked = Markup("")
    for piece in words.pieces(name):
        marked += Markup("<wbr>") + piece if marked and not marked[-1].isspace() else Markup(escape(piece))
    return marked


_TEMPLATES.filters["breakable"] = _breakable
