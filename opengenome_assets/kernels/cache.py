"""Where Numba keeps the machine code of the kernels between processes.

Belongs here: the choice of the folder. Does not belong here: any kernel. Numba takes cached code for current when the
file of the function is unchanged, and ignores helpers inlined from other files. The folder's name therefore holds a
digest of every kernel source: any change begins a new, empty folder.
"""

import getpass
import hashlib
import os
import tempfile
from importlib.metadata import version
from pathlib import Path


def source_digest() -> str:
    """Digest of all kernel sources and of the compiler's versions, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for package in ("numba", "llvmlite", "numpy"):
        digest.update(f"{package} {version(package)}\n".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        content = source.read_bytes()
        digest.update(f"{source.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """First writable of: $NUMBA_CACHE_DIR, the XDG cache folder, this user's folder below the temporary folder.

    Returns
    -------
    pathlib.Path
        An existing folder, named by `source_digest`. When none of the three can be written, a new temporary
        folder: the kernels are then compiled again in each process.
    """
    digest = source_digest()
    parents = []
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        parents.append(Path(chosen))
    cache_home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    parents.append(Path(cache_home) / "opengenome-assets" / "numba")
    parents.append(Path(tempfile.gettempdir()) / f"opengenome-assets-{_user()}" / "numba")
    for parent in parents:
        if _is_ours(folder := parent / digest):
            return folder
    return Path(tempfile.mkdtemp(prefix="opengenome-assets-numba-"))


def _user() -> str:
    """Name of this user, or the user's number where a container has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _is_ours(folder: Path) -> bool:
    """Whether the folder can be made and written, and is not another user's.

    Cached code is executed, so another user's folder in a shared place must not be trusted.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK)
    except OSError:
        return False
