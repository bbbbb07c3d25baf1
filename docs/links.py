"""Links of the site: what a page names outside docs/ is linked in the repository.

Belongs here: rewriting links when MkDocs builds the site. Does not belong here: the pages' content.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(\]\()(\.\./[^)#\s]*)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Return a page whose links to files outside docs/ lead to the repository.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """

    def linked(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page.file.src_uri), found[2]))
        if target.startswith("docs/"):
            return found[0]
        if not (ROOT / target).exists():
            raise FileNotFoundError(f"docs/{page.file.src_uri} links to {target}, which is not there")
        return f"{found[1]}{config.repo_url}/blob/main/{target}"

    return LINK.sub(linked, markdown)
