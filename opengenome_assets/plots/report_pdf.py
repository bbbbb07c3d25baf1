"""The report as PDF: plain data in, bytes out.

Belongs here: the layout of a `Report` on pages. Does not belong here: its content, and the HTML page
(`report_page`). The same report gives the same bytes: the file has no date and no random identifier.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any
from xml.sax.saxutils import escape

import matplotlib
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Image, KeepTogether, LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

from opengenome_assets import words
from opengenome_assets.plots.report_page import Illustration, Report, ReportTable
from opengenome_assets.plots.style import INK, MUTED, RULE

_MARGIN = 18 * mm
_WIDTH = A4[0] - 2 * _MARGIN
_PICTURE = 0.8 * _WIDTH
_PADDING = 6.5  # points beside the text of a cell, left and right together
_SANS, _BOLD, _MONO = "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono"


def render_pdf(report: Report, footer: str) -> bytes:
    """Render the report as PDF, with a footer on each page.

    Figures must be PNG. Letters of tables that are too long for their column are broken anywhere.
    """
    _fonts()
    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN + 6 * mm,
        title=report.title,
        author="OpenGenome Assets",
        invariant=1,
    )
    document.build(_story(report), onFirstPage=_foot(footer), onLaterPages=_foot(footer))
    return buffer.getvalue()


def _fonts() -> None:
    """Register the fonts that ship with matplotlib: all letters, the same on every machine."""
    for name in (_SANS, _BOLD, _MONO):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, f"{matplotlib.get_data_path()}/fonts/ttf/{name}.ttf"))


def _style(name: str, size: float, **options: Any) -> ParagraphStyle:
    # A colour as text would be parsed again for every paragraph.
    given = {"fontName": _SANS, "textColor": colors.HexColor(INK), "leading": size * 1.4, **options}
    return ParagraphStyle(name, fontSize=size, **given)


_TITLE = _style("title", 18, fontName=_BOLD, spaceAfter=4)
_HEAD = _style("head", 13, fontName=_BOLD, spaceBefore=14, spaceAfter=5, keepWithNext=1)
_TEXT = _style("text", 9, spaceAfter=6)
_NOTE = _style("note", 8, textColor=colors.HexColor(MUTED), spaceAfter=8)
_WARN = _style("warn", 9, textColor="#7a3e00", backColor="#fff4e5", borderPadding=5, spaceBefore=6, spaceAfter=8)
_CELL = _style("cell", 7)
_CODE = _style("code", 6.6, fontName=_MONO, leading=9, splitLongWords=True, wordWrap="CJK")
_COLUMN = _style("column", 7, fontName=_BOLD)
_NUMBER = _style("number", 7, alignment=2)
_NUMBER_COLUMN = _style("number_column", 7, fontName=_BOLD, alignment=2)


def _story(report: Report) -> list[Any]:
    story: list[Any] = [
        Paragraph(escape(report.title), _TITLE),
        Paragraph(escape(f"Generated {report.generated}"), _NOTE),
    ]
    told = [*report.warnings, *(" ".join((each.line, each.remedy, each.command)).strip() for each in report.notices)]
    story += [Paragraph(escape(text), _WARN) for text in told]
    facts = [
        [Paragraph(escape(fact.label), _CELL), Paragraph(f"{escape(fact.value)} {_note(fact.note)}", _CELL)]
        for fact in report.summary
    ]
    if facts:
        story.append(_table(facts, [0.34 * _WIDTH, 0.66 * _WIDTH], head=False))
    for section in report.sections:
        story.append(Paragraph(escape(section.title), _HEAD))
        if section.text:
            story.append(Paragraph(escape(section.text), _TEXT))
        for figure in section.figures:
            story += _figure(figure)
        for table in section.tables:
            story += _rows(table)
    if report.provenance:
        story.append(Paragraph("How it was made", _HEAD))
    for origin in report.provenance:
        lines = [f"version {origin.version}, {words.plural(origin.rows, 'row')}, code {origin.code_version}"]
        lines += [f"{name}: {value}" for name, value in {**origin.settings, **origin.inputs}.items()]
        lines += [origin.checks] if origin.checks else []
        text = escape("; ".join(lines))
        story.append(Paragraph(f'<font name="{_BOLD}">{escape(origin.name)}</font> {text}', _NOTE))
    return story


def _note(text: str) -> str:
    return f'<font color="{MUTED}">{escape(text)}</font>' if text else ""


def _figure(figure: Illustration) -> list[Any]:
    if figure.media_type != "image/png":
        raise ValueError(f"{figure.title}: expected a PNG, found {figure.media_type}")
    wide, high = ImageReader(io.BytesIO(figure.image)).getSize()
    picture = Image(io.BytesIO(figure.image), width=_PICTURE, height=_PICTURE * high / wide, hAlign="LEFT")
    return [KeepTogether([picture, Paragraph(escape(f"{figure.caption} {figure.alt}"), _NOTE)])]


def _rows(table: ReportTable) -> list[Any]:
    if not table.rows:
        return [Paragraph(escape(table.shown_caption), _NOTE)]
    heads = [
        Paragraph(escape(column.label), _NUMBER_COLUMN if column.is_numeric else _COLUMN) for column in table.columns
    ]
    styles = [
        _NUMBER if column.is_numeric else _CODE if column.kind in ("code", "quote") else _CELL
        for column in table.columns
    ]
    rows = [
        [
            Paragraph(escape(column.write(cell)).replace(" ", "\u00a0" if column.is_numeric else " "), style)
            for column, style, cell in zip(table.columns, styles, row, strict=True)
        ]
        for row in table.rows
    ]
    texts = [[column.write(row[place]) for row in table.rows] for place, column in enumerate(table.columns)]
    widths = _widths(
        [max(_wide(word, _BOLD, 7) for word in column.label.split() or [""]) for column in table.columns],
        [
            max((_wide(text, style.fontName, style.fontSize) for text in column_texts), default=0.0)
            for column_texts, style in zip(texts, styles, strict=True)
        ],
        [column.is_numeric for column in table.columns],
    )
    return [Paragraph(escape(table.shown_caption), _NOTE), _table([heads, *rows], widths), Spacer(1, 4 * mm)]


def _wide(text: str, font: str, size: float) -> float:
    return float(pdfmetrics.stringWidth(text, font, size)) + _PADDING


def _widths(heads: Sequence[float], cells: Sequence[float], numeric: Sequence[bool]) -> list[float]:
    """Return the widths of columns, which add up to that of the text.

    No word of a heading and no number is broken. Other columns get the rest in proportion to their longest texts,
    within bounds.

    Parameters
    ----------
    heads
        Widths of the longest words in the headings.
    cells, numeric
        Widths of the longest cells, and whether they are numbers.
    """
    least = [max(head, cell if number else 0) for head, cell, number in zip(heads, cells, numeric, strict=True)]
    wishes = [max(0.0, min(cell, _WIDTH / 3) - low) for low, cell in zip(least, cells, strict=True)]
    rest, asked = _WIDTH - sum(least), sum(wishes)
    if rest <= 0 or not asked:
        return [_WIDTH * low / sum(least) for low in least]
    return [low + rest * wish / asked for low, wish in zip(least, wishes, strict=True)]


def _table(rows: Sequence[Sequence[Any]], widths: Sequence[float], head: bool = True) -> LongTable:
    style = [
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, colors.HexColor(RULE)),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 2),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ("TOPPADDING", (0, 0), (-1, -1), 1.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ]
    if head:
        style.append(("LINEBELOW", (0, 0), (-1, 0), 0.9, colors.HexColor(MUTED)))
    return LongTable(rows, colWidths=widths, repeatRows=int(head), style=TableStyle(style), hAlign="LEFT")


def _foot(text: str) -> Callable[[Any, Any], None]:
    def draw(canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont(_SANS, 7.5)
        canvas.setFillColor(colors.HexColor(MUTED))
        canvas.drawString(_MARGIN, _MARGIN - 2 * mm, text)
        canvas.drawRightString(A4[0] - _MARGIN, _MARGIN - 2 * mm, f"page {document.page}")
        canvas.restoreState()

    return draw
