"""The parts in a home, in a form that does not depend on the attempt that made them."""

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from opengenome_assets.storage.parts import MANIFEST

ATTEMPT = re.compile(r"-[0-9a-f]{8}(?=\.(?:parquet|arrow))")


def without_attempt(text: str) -> str:
    """Leave out the random name of the attempt at a part."""
    return ATTEMPT.sub("", text)


def parts(home: Path) -> dict[str, Any]:
    """Return the SHA-256 of every Parquet file and the content of every manifest, by key and number."""
    found: dict[str, Any] = {}
    for path in sorted(home.rglob("*")):
        name = without_attempt(str(path.relative_to(home)))
        if path.suffix == ".parquet" and "_delta_log" not in name:
            found[name] = sha256(path.read_bytes()).hexdigest()
        elif path.name == MANIFEST:
            manifest = json.loads(without_attempt(path.read_text()))
            manifest.pop("digest", None)  # of the names of attempts, too
            found[name] = manifest
    return found
