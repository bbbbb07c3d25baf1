"""Pictures of a sample's report: drawn, or those of the report before, where they show the same.

Belongs here: keeping them beside the report, by their content. Does not belong here: which pictures a report has
(``report.py``), and how they are drawn (``plots``).

Drawing takes most of a report's time, and no picture shows what a database of variants states: a new one only chooses
which variants' reads are shown.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opengenome_assets import __version__, plots
from opengenome_assets.plots.report_page import Illustration
from opengenome_assets.storage.files import read_bytes, write_bytes
from opengenome_assets.storage.record import digest, sealed, unsealed

if TYPE_CHECKING:
    from opengenome_assets.plots.style import Picture

TYPE = "image/png"  # which both forms of a report can hold


class ReportPictures:
    """The pictures of one report.

    Parameters
    ----------
    uri
        Address of the report, without its ending. The pictures are kept in ``<uri>.pictures.json``.
    code_version
        The report's: by another one every picture is drawn again.

    Attributes
    ----------
    drawn : int
        Number of pictures that were drawn.
    """

    def __init__(self, uri: str, code_version: str) -> None:
        self._code_version = code_version
        self._uri = f"{uri}.pictures.json"
        self._before = _read(self._uri)
        self._shown: dict[str, Illustration] = {}
        self.drawn = 0

    def show(self, draw: "Callable[[], Picture]", *content: Any) -> Illustration:
        """Return a picture, from before if there was one of this content.

        Parameters
        ----------
        draw
            Function that draws it.
        content
            All that determines the picture, as JSON takes it: its kind, and digests of what it shows.
        """
        key = digest([self._code_version, __version__, *content])
        shown = self._before.get(key)
        if shown is None:
            picture = draw()
            png = plots.images.to_png(picture.figure, dpi=110)
            shown = Illustration(picture.title, picture.caption, picture.alt, png, TYPE)
            self.drawn += 1
        self._shown[key] = shown
        return shown

    def write(self) -> None:
        """Keep what was shown, in place of what was kept before."""
        kept = {
            key: {
                "title": each.title,
                "caption": each.caption,
                "alt": each.alt,
                "png": b64encode(each.image).decode(),
            }
            for key, each in self._shown.items()
        }
        write_bytes(self._uri, sealed({"pictures": kept}))


def _read(uri: str) -> dict[str, Illustration]:
    try:
        kept = unsealed(read_bytes(uri) or b"")["pictures"]
        return {
            key: Illustration(each["title"], each["caption"], each["alt"], b64decode(each["png"], validate=True), TYPE)
            for key, each in kept.items()
        }
    except (ValueError, LookupError, TypeError, AttributeError):  # missing or damaged: they are drawn again
        return {}
