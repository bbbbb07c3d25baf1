"""Validate: one verdict each on Python, packages, the engine, storage, free space and the source.

Belongs here: checks that do on a small scale what a run does, such as starting Spark and committing a Delta table. Does
not belong here: how verdicts are shown (``cli``).
"""

from __future__ import annotations

import logging
import platform
import shutil
import sys
import textwrap
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import pyarrow as pa
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from opengenome_assets.engine.java import REMEDY as JAVA_REMEDY
from opengenome_assets.engine.java import JavaNotFoundError, find_java
from opengenome_assets.engine.processes import Processes
from opengenome_assets.engine.spark import Spark
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.sources import SourceError, list_source
from opengenome_assets.settings import Settings
from opengenome_assets.storage.files import filesystem
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home
from opengenome_assets.words import plural

DISTRIBUTION = "opengenome-assets"
LOCK = Path(__file__).parents[2] / "requirements.lock"

SPARK_TIMEOUT_SECONDS = 120.0
FREE_BYTES_NEEDED = 10**9
FREE_BYTES_ADVISED = 10**10

REINSTALL = "To install everything again: make clean install"


@dataclass(frozen=True)
class Verdict:
    """The result of a check.

    Attributes
    ----------
    subject
        The thing checked.
    status
        ``failed`` if the pipeline cannot run, ``warning`` if it can run with limits.
    finding
        The facts found.
    remedy
        The next step; empty if none is needed.
    """

    subject: str
    status: Literal["ok", "warning", "failed"]
    finding: str
    remedy: str = ""


def validate(settings: Settings, source: str, sample: Path) -> Iterator[Verdict]:
    """Check everything that a run needs, and yield each verdict as soon as it is known.

    Java and Spark are checked only if the settings name Spark as engine.

    Parameters
    ----------
    settings
        The settings.
    source, sample
        The source specification, and the folder that the name ``sample`` stands for.
    """
    yield check_python()
    yield check_packages()
    if settings.engine == "processes":
        yield check_processes(Processes())
    else:
        yield check_java()
        yield check_spark(Spark(master=settings.spark_master))
    yield check_storage(settings.home)
    yield check_space(settings.home)
    yield check_source(source, sample)


def check_python() -> Verdict:
    """Check the interpreter's version against the package's requirement."""
    found = f"Python {platform.python_version()} at {sys.executable}"
    wanted = metadata.metadata(DISTRIBUTION)["Requires-Python"]
    if platform.python_version() in SpecifierSet(wanted):
        return Verdict("Python", "ok", found)
    return Verdict("Python", "failed", f"{found}, expected {wanted}", "make clean install PYTHON=python3.11")


def check_packages() -> Verdict:
    """Check the installed packages against the requirements, and against the lock if there is one."""
    required = [Requirement(line) for line in metadata.requires(DISTRIBUTION) or ()]
    unmet = _unmet(required, missing="not installed")
    if unmet:
        return Verdict("Packages", "failed", "; ".join(unmet), REINSTALL)
    locked = _read_lock(LOCK) if LOCK.is_file() else []
    # The lock also holds development tools, which need not be there.
    other = _unmet(locked, missing="")
    if other:
        return Verdict("Packages", "warning", f"other versions than locked: {'; '.join(other)}", REINSTALL)
    found = f"all {sum(map(_applies, required))} as required"
    return Verdict("Packages", "ok", f"{found}, at their locked versions" if locked else found)


def _read_lock(path: Path) -> list[Requirement]:
    lines = path.read_text().splitlines()
    return [Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalnum()]


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _unmet(requirements: list[Requirement], missing: str) -> list[str]:
    unmet = []
    for requirement in filter(_applies, requirements):
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            if missing:
                unmet.append(f"{requirement.name} {missing}, expected {requirement.specifier}")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            unmet.append(f"{requirement.name} {version}, expected {requirement.specifier}")
    return unmet


def check_java() -> Verdict:
    """Look for a Java that Spark can run on."""
    try:
        java = find_java()
    except JavaNotFoundError as error:
        return Verdict("Java", "failed", str(error).removesuffix(f" {JAVA_REMEDY}."), JAVA_REMEDY)
    return Verdict("Java", "ok", f"Java {java.version} ({java.origin}) at {java.home}")


def check_spark(spark: Spark, timeout: float = SPARK_TIMEOUT_SECONDS) -> Verdict:
    """Start Spark and run a small job on its Python workers, within the given seconds."""
    master = spark.master
    remedy = f"See Java above and Spark's own messages. {REINSTALL}"
    if master.startswith("spark://"):
        remedy = f"See that {master} can be reached and has a worker with free cores, or unset SPARK_MASTER"
    try:
        context = spark.spark_context
        with ThreadPoolExecutor(1) as thread:
            job = thread.submit(context.parallelize(range(2), 2).map(_interpreter).collect)
            try:
                workers = set(job.result(timeout))
            except TimeoutError:
                context.cancelAllJobs()
                raise TimeoutError(f"no worker finished a small job in {timeout:.0f} s") from None
        version = context.version
    except Exception as error:  # whatever Spark, Java or the network raise is the finding
        return Verdict("Spark", "failed", f"{master}: {_reason(error)}", remedy)
    finally:
        spark.stop()
    driver = _interpreter(0)
    if workers != {driver}:
        found = ", ".join(sorted(workers))
        return Verdict("Spark", "failed", f"{master}: workers run Python {found}, the driver {driver}", remedy)
    return Verdict("Spark", "ok", f"Spark {version} on {master}, workers run Python {driver}")


def _interpreter(_: int) -> str:
    return ".".join(platform.python_version_tuple()[:2])


def check_processes(engine: Processes) -> Verdict:
    """Start worker processes and run a small job on them."""
    log = logging.getLogger(__name__)
    try:
        engine.map(abs, range(2), weights=[1, 1], label="validate", unit="units", log=log)
    except Exception as error:  # whatever the workers or the system raise is the finding
        return Verdict("Processes", "failed", _reason(error), REINSTALL)
    return Verdict("Processes", "ok", f"{plural(engine.workers, 'worker')} on this machine, without Java")


def check_storage(home: str) -> Verdict:
    """Commit a small Delta table under the home twice, read it and its history back, and remove it."""
    fs, root = filesystem(f"{home.rstrip('/')}/.validate-{uuid.uuid4().hex[:8]}")
    versions = [pa.table({"kmer": ["ACGTAC"], "count": pa.array([count], pa.int64())}) for count in (1, 2)]
    records = [Provenance(name="validate", code_version=code) for code in ("1", "2")]
    try:
        fs.create_dir(root, recursive=True)
        try:
            tables = Home(f"{home.rstrip('/')}/{root.rpartition('/')[2]}")
            for rows, record in zip(versions, records, strict=True):
                tables.table("validate").write(rows, record)
            found = [tables.table("validate").at(version).read() for version in (0, 1)]
            history = [tables.table("validate").provenance(version) for version in (0, 1)]
        finally:
            fs.delete_dir(root)
    except Exception as error:  # each file system has its own exceptions
        remedy = "Make it writable, or set OPENGENOME_HOME to a folder that is"
        return Verdict("Storage", "failed", f"{home}: {_reason(error)}", remedy)
    for what, is_same in (("rows", found == versions), ("history", history == records)):
        if not is_same:
            finding = f"{home}: a Delta table was read back with other {what} than written"
            return Verdict("Storage", "failed", finding, "Set OPENGENOME_HOME to another file system")
    return Verdict("Storage", "ok", f"{home}: a Delta table was written twice and read with its history")


def check_space(home: str) -> Verdict:
    """Check that the home's disk is not nearly full."""
    if "://" in home:
        return Verdict("Free space", "ok", f"{home} is an object store, which has no limit to ask for")
    folder = Path(home)
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:,.1f} GB at {home}"
    if free >= FREE_BYTES_ADVISED:
        return Verdict("Free space", "ok", found)
    status: Literal["warning", "failed"] = "failed" if free < FREE_BYTES_NEEDED else "warning"
    expected = FREE_BYTES_NEEDED if status == "failed" else FREE_BYTES_ADVISED
    remedy = f"Free at least {expected / 1e9:.0f} GB, or set OPENGENOME_HOME to a folder on a larger disk"
    return Verdict("Free space", status, found, remedy)


def check_source(source: str, sample: Path) -> Verdict:
    """List the FASTA files that the source names."""
    try:
        listing = list_source(source, FASTA, sample=sample)
    except SourceError as error:
        remedy = "Set OPENGENOME_SOURCE to a FASTA file, a folder of them, or sample"
        return Verdict("Source", "failed", str(error), remedy)
    sources = len({file.source for file in listing.files})
    size = sum(file.size for file in listing.files)
    found = f"{source}: {len(listing.files):,} FASTA files in {sources:,} sources, {size / 1e6:,.1f} MB"
    if listing.skipped:
        found += f"; {len(listing.skipped):,} other files left out"
    return Verdict("Source", "ok", found)


def _reason(error: BaseException) -> str:
    """Return an error in one line of limited length, without the frames of Java's stack."""
    lines = [line.strip() for line in str(error).splitlines() if not line.startswith("\tat ")]
    return textwrap.shorten(f"{type(error).__name__}: {' '.join(lines)}", 1000, placeholder=" ...")
