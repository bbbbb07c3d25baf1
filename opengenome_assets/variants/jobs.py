"""Jobs of samples: a sheet with its reads, sent to be aligned and called.

Belongs here: the options, what is refused at once, and how the group's assets are made for a job. Does not belong here:
where the files lie (``job_files.py``), reading sheets (``sheet.py``) and reads (``passes/pairs.py``), and adding a
sample to the platform's own sheet, whose tables it changes (``submission.py``).
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from opengenome_assets.engine import Engine
from opengenome_assets.framework.jobs import (
    Checked,
    FailedError,
    JobKind,
    Options,
    RefusedError,
    Sent,
    make_tables,
)
from opengenome_assets.settings import local_home
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.job_files import (
    OWN_REFERENCE,
    READS,
    SHEET,
    copies_in,
    is_on_server,
    lanes_of,
    named_by,
    place_of,
    role_of,
    sheet_of,
    state_of,
    state_or_none,
    write_own_sheet,
)
from opengenome_assets.variants.settings import NONE, SAMPLE, VariantsSettings
from opengenome_assets.variants.tables import (
    ANNOTATIONS,
    BENCHMARK,
    CONSEQUENCES,
    GENOTYPES,
    READ_QUALITY,
    SAMPLE_QC,
    TABLES,
    TRUTH_REGIONS,
    TRUTH_VARIANTS,
    VARIANT_FILES,
    VARIANTS,
)
from opengenome_assets.words import listing

OF_CORPUS = "corpus.fasta"
CORPUS = "corpus:"
FIRST_PAIRS = 100_000  # of a lane, which are looked at before the job is taken
MEGABYTE = 1_000_000
DATABASES = tuple(
    name
    for name, variable in VariantsSettings.variables().items()
    if variable in ("OPENGENOME_CLINVAR", "OPENGENOME_GNOMAD", "OPENGENOME_GENES")
)
RESULTS = (VARIANTS, GENOTYPES, CONSEQUENCES, ANNOTATIONS, SAMPLE_QC, READ_QUALITY, VARIANT_FILES)
STEPS = tuple(table for table in TABLES if table not in (TRUTH_VARIANTS, TRUTH_REGIONS, BENCHMARK))


class SampleOptions(Options):
    """A job of samples has no options: the server's settings hold."""


def check(sent: Sent) -> Checked:
    """Read the sheet, and look at every file that it names.

    Raises
    ------
    RefusedError
        If the sheet or a file cannot be used. Each fault names file, line or record, and what is expected.
    """
    from opengenome_assets.variants.passes.pairs import LaneReads

    lanes = lanes_of(sent)
    faults: list[str] = []
    places: dict[str, str] = {}
    for lane in lanes:
        for name, column in zip(lane.named, lane.columns, strict=True):
            try:
                places[name] = place_of(sent, name)
            except ValueError as error:
                faults.append(f"{sheet_of(sent).name}, line {lane.line}, {column}: {error}")
    used = {Path(name).name for lane in lanes for name in lane.named if not is_on_server(name)}
    faults += [f"{file.name}: expected a file that the sheet names" for file in sent.of(READS) if file.name not in used]
    faults += copies_in(sent)
    if faults:
        raise RefusedError(faults)
    partly = []
    for lane in lanes:
        stored = [_stored(name, places[name]) for name in lane.named]
        try:
            if _look_at(LaneReads(lane.lane, tuple(stored))):
                partly.append(f"{lane.sample}, lane {lane.lane}")
        except Exception as error:
            if not _is_refusal(error):
                raise
            words = str(error).replace(f"{sent.folder}/files/{READS}/", "")
            faults.append(f"{sheet_of(sent).name}, line {lane.line}: {words}")
    if not faults:
        faults += _reference_faults(sent)
    if faults:
        raise RefusedError(faults)
    settings = _settings(sent)
    own = bool(sent.of(OWN_REFERENCE))
    named = sent.of(OWN_REFERENCE)[0].name if own else sent.platform.section(VariantsSettings).reference
    words = "the human mitochondrial genome (rCRS), which this server has by default" if named == SAMPLE else named
    notes = [f"Reads are aligned to {words}" + ("" if own else ". Send another reference with the role reference")]
    if own:
        notes.append("ClinVar, gnomAD and gene models are left out: the server has them for its own reference only")
    if partly:
        notes.append(
            f"The first {FIRST_PAIRS:,} pairs were looked at; the others are when the work is done: "
            f"{listing(partly, 10)}"
        )
    settings["references"] = {name: state_of(Path(places[name])) for name in places if is_on_server(name)}
    size = sum(Path(place).stat().st_size for place in places.values())
    return Checked(-(-size // MEGABYTE), settings, tuple(notes))


def perform(sent: Sent, settings: Mapping[str, Any], engine: Engine) -> None:
    """Make the group's tables from the sheet and its reads.

    Raises
    ------
    FailedError
        If a file that the server reads itself is gone or changed since the job was sent.
    """
    from opengenome_assets.framework.group import assets_of
    from opengenome_assets.variants.definitions import members

    lanes = lanes_of(sent)
    for lane in lanes:
        for name in filter(is_on_server, lane.named):
            try:
                now = state_of(Path(place_of(sent, name)))
            except (OSError, ValueError) as error:
                raise FailedError(
                    f"{name} (sample {lane.sample}, line {lane.line} of the sheet) is gone or cannot be read: "
                    f"{error}. Put it back, and send the sheet again"
                ) from error
            if now != settings["references"][name]:
                raise FailedError(
                    f"{name} (sample {lane.sample}, line {lane.line} of the sheet) has changed since it was sent. "
                    "Send the sheet again"
                )
    for name, before in settings["states"].items():
        if not name.startswith(CORPUS) and state_or_none(name) != before:
            raise FailedError(f"{name}, which the server reads, is gone or has changed. Send the sheet again")
    section = VariantsSettings.of(
        {**settings["section"], "reference": _reference(sent), "samples": write_own_sheet(sent)}
    )
    _share_references(sent)
    make_tables(assets_of(members(section)), RESULTS, sent.home, engine)


def vcf(home: Home) -> str:
    """Return the calls as VCF: of all samples, or of the only one."""
    files = home.table(VARIANT_FILES).read(["sample", "path"]).to_pylist()
    paths = {file["sample"]: file["path"] for file in files}
    path = paths.get("all") or next(iter(paths.values()))
    return gzip.decompress((local_home(home.uri) / path).read_bytes()).decode()


def _stored(name: str, place: str) -> Any:
    from opengenome_assets.intake.streams import StoredFile

    return StoredFile(Path(name).name, place)


def _look_at(lane: Any) -> bool:
    """Read the beginning of a lane. Return whether there is more.

    Raises
    ------
    FastqError, StreamError, ToolError, UnusableReadsError
        If it cannot be used.
    """
    from opengenome_assets.variants.passes.extraction import refuse_truncated
    from opengenome_assets.variants.passes.pairs import paired

    if len(lane.files) == 1:
        refuse_truncated(lane.files[0])
        return False
    pairs = paired(lane)
    for _ in islice(pairs, FIRST_PAIRS):
        pass
    return next(pairs, None) is not None


def _is_refusal(error: Exception) -> bool:
    """Return whether an error says that a file cannot be used."""
    from opengenome_assets.intake.containers import ContainerError
    from opengenome_assets.intake.streams import StreamError
    from opengenome_assets.kernels.fastq import FastqError
    from opengenome_assets.variants.tools import ToolError
    from opengenome_assets.variants.work import UnusableReadsError

    return isinstance(error, (ContainerError, FastqError, StreamError, ToolError, UnusableReadsError))


def _settings(sent: Sent) -> dict[str, Any]:
    """Return the settings of the work, and the state of the server's files that it reads."""
    platform = sent.platform.section(VariantsSettings)
    databases = {name: NONE if sent.of(OWN_REFERENCE) else getattr(platform, name) for name in DATABASES}
    section = {**databases, "trimming": platform.trimming, "region_bases": platform.region_bases}
    files = databases if sent.of(OWN_REFERENCE) else {"reference": platform.reference, **databases}
    states: dict[str, Any] = {
        value: state_of(Path(value).expanduser().absolute())
        for value in files.values()
        if value not in (SAMPLE, NONE) and not value.startswith(CORPUS)
    }
    if (of_corpus := sent.folder / OF_CORPUS).exists():
        states[files["reference"]] = hashlib.sha256(of_corpus.read_bytes()).hexdigest()
    return {"section": section, "files": files, "states": states}


def _reference_faults(sent: Sent) -> Iterator[str]:
    """Yield why the reference cannot be used. One of the corpus is written into the job's folder."""
    from opengenome_assets.intake.streams import StreamError
    from opengenome_assets.storage.snapshot import MissingTableError
    from opengenome_assets.variants.reference import UnusableReferenceError, read_reference, refuse_unusable

    named = _reference(sent)
    try:
        if own := sent.of(OWN_REFERENCE):
            refuse_unusable(list(read_reference(sent.home, str(own[0].path))), own[0].name)
        elif named.startswith(CORPUS):
            contigs = list(read_reference(Home(sent.platform.home), named))
            with (sent.folder / OF_CORPUS).open("wb") as file:
                for contig in contigs:
                    file.write(b">%s %s\n%s\n" % (contig.name.encode(), contig.description.encode(), contig.letters))
    except (UnusableReferenceError, StreamError, MissingTableError, ValueError) as error:
        yield str(error).replace(f"{sent.folder}/files/{OWN_REFERENCE}/", "")


def _reference(sent: Sent) -> str:
    """Return the reference: the one that was sent, else the server's."""
    if own := sent.of(OWN_REFERENCE):
        return str(own[0].path)
    of_corpus = sent.folder / OF_CORPUS
    return str(of_corpus) if of_corpus.exists() else sent.platform.section(VariantsSettings).reference


def _share_references(sent: Sent) -> None:
    """Use the platform's folder of references: an index that is there is not built again."""
    own, shared = sent.folder / "references", local_home(sent.platform.home) / "references"
    if not own.is_symlink():
        shared.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(own, ignore_errors=True)
        own.symlink_to(shared)


KIND = JobKind(
    name="sample",
    path="samples",
    description="Reads of samples, aligned to a reference and called. Results are a job's own; to add a sample to the "
    "platform's tables, use `opengenome variants submit`.",
    unit="megabyte",
    roles={
        SHEET: "a sample sheet: a CSV with sample, fastq_1 and fastq_2 (or bam, or cram). Files with relative names "
        "are sent with it; absolute ones are the server's, below OPENGENOME_READ_FOLDERS",
        READS: "further files of reads (.fastq, .fq, compressed or not, .bam, .cram) that the sheet names",
        OWN_REFERENCE: "an own reference: FASTA",
    },
    options=SampleOptions,
    results=RESULTS,
    steps=STEPS,
    check=check,
    perform=perform,
    forms={"vcf": ("text/x-vcf", vcf)},
    small=0,
    named_by=named_by,
    role_by_name=role_of,
)
