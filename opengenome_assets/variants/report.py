"""variant_report: a report of each sample, as HTML and PDF.

Belongs here: which samples have a report, its files, and its tables and figures. Does not belong here: words and
numbers of its sections (``plots/report_sections.py``), keeping its pictures (``report_pictures.py``), and its layout
(``plots/report_page.py``, ``report_pdf.py``).

The PDF has no date: the same tables give the same bytes.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from opengenome_assets import __version__
from opengenome_assets import plots as shell
from opengenome_assets.framework.assets import HOME_POOL
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import Making, lineage, table_of
from opengenome_assets.framework.summaries import Step, pinned
from opengenome_assets.plots.report_page import Illustration, Origin, Report, render
from opengenome_assets.settings import local_home
from opengenome_assets.storage.files import read_bytes, write_bytes
from opengenome_assets.storage.record import digest
from opengenome_assets.storage.tables import Home, Named
from opengenome_assets.variants import plots
from opengenome_assets.variants.alignments import left_out
from opengenome_assets.variants.calls import NO_VARIANT
from opengenome_assets.variants.consequences import IMPACTS
from opengenome_assets.variants.figures import passing
from opengenome_assets.variants.pileup import pile_up
from opengenome_assets.variants.plans import fasta_of
from opengenome_assets.variants.report_pictures import ReportPictures
from opengenome_assets.variants.sample_qc import unusual
from opengenome_assets.variants.settings import VariantsSettings
from opengenome_assets.variants.tables import (
    ALIGNMENTS,
    ANNOTATIONS,
    BENCHMARK,
    CLASSES,
    CLINVAR,
    CONSEQUENCES,
    GENE_MODELS,
    GENOTYPES,
    GNOMAD,
    RAW_READS,
    READ_DEPTH,
    READ_FILES,
    READ_QUALITY,
    REFERENCE,
    SAMPLE_QC,
    VARIANTS,
)

if TYPE_CHECKING:
    import pandas as pd

    from opengenome_assets.plots.style import Picture


@dataclass(frozen=True)
class _Named:
    name: str


REPORT = _Named("variant_report")
NAME = REPORT.name
CODE_VERSION = "4"
PILES = 4  # variants whose reads are shown
FOOTER = "For research, not for diagnosis. Statements are those of the databases named, not of this platform."
READS = (
    RAW_READS,
    READ_FILES,
    READ_QUALITY,
    REFERENCE,
    ALIGNMENTS,
    READ_DEPTH,
    GENOTYPES,
    VARIANTS,
    CLINVAR,
    GNOMAD,
    ANNOTATIONS,
    GENE_MODELS,
    CONSEQUENCES,
    SAMPLE_QC,
    BENCHMARK,
)


def define(_: VariantsSettings) -> list[Member]:
    """Return the report and its rule."""
    return [variant_report, reports_exist]


@dg.asset(
    pool=HOME_POOL,
    name=NAME,
    deps=[each.name for each in READS],
    code_version=CODE_VERSION,
    kinds={"html", "pdf"},
    description="A report of each sample as HTML and PDF: quality, depth, variants with what databases state of them, "
    "and how it was made. For research, not for diagnosis.",
)
def variant_report(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult[Any]:
    """Write the reports whose content has changed."""
    making = Making(context, __name__)
    step = Step(home, pinned(home, READS), log=context.log)
    frames = {each.name: step[each].read().to_pandas() for each in READS}
    frames[GENOTYPES.name] = passing(step[GENOTYPES])
    origins = [origin(step, each) for each in READS]
    rows, written, drawn = [], 0, 0
    for sample in sorted(frames[ALIGNMENTS.name]["sample"]):
        own = {name: frame_of(frame, sample) for name, frame in frames.items()}
        contents = {name: _content(frame) for name, frame in own.items()}
        key = digest([CODE_VERSION, __version__, sample, contents])
        uri = address(home, sample)
        if f"opengenome:{key}" not in (read_bytes(f"{uri}.html") or b"").decode() or not read_bytes(f"{uri}.pdf"):
            pictures = ReportPictures(uri, CODE_VERSION)
            report = build(own, contents, sample, key, origins, step.home, pictures)
            write_bytes(f"{uri}.pdf", shell.report_pdf.render_pdf(report, FOOTER))
            pictures.write()
            write_bytes(f"{uri}.html", render(report).encode())  # last: it has the key
            written += 1
            drawn += pictures.drawn
        rows.append((sample, f"{uri}.html", f"{uri}.pdf"))
    provenance = making.recorded(step.provenance(NAME, CODE_VERSION, {}))
    return dg.MaterializeResult(
        metadata={
            "reports": table_of(("sample", "html", "pdf"), rows),
            "reports_written": written,
            "reports_reused": len(rows) - written,
            "pictures_drawn": drawn,
            **making.metadata(),
            **lineage(provenance),
        },
        data_version=dg.DataVersion(provenance.data_version),
    )


def address(home: Home, sample: str) -> str:
    """Return the address of a sample's report, without its ending."""
    return f"{home.uri}/reports/samples/{sample}"


def frame_of(frame: "pd.DataFrame", sample: str) -> "pd.DataFrame":
    """Return a sample's rows of a table; all rows of a table without samples."""
    for column in ("sample", "source"):
        if column in frame:
            return frame[frame[column] == sample]
    return frame


def _content(frame: "pd.DataFrame") -> str:
    return hashlib.sha256(frame.to_json(orient="values", default_handler=str).encode()).hexdigest()


def origin(step: Step, table: Named) -> Origin:
    """Return a table's origin, in the page's form, without what differs from run to run."""
    snapshot = step[table]
    record = snapshot.provenance
    return Origin(
        name=table.name,
        version=snapshot.version,
        rows=snapshot.rows,
        code_version=f"{record.code_version} (package {record.package_version})",
        settings={name: str(value) for name, value in record.settings.items()},
        inputs={name: given.data_version[:12] for name, given in record.inputs.items()},
    )


def build(
    own: "dict[str, pd.DataFrame]",
    contents: Mapping[str, str],
    sample: str,
    key: str,
    origins: list[Origin],
    home: Home,
    pictures: ReportPictures,
) -> Report:
    """Return the content of a sample's report."""
    calls, alignments, contigs = own[GENOTYPES.name], own[ALIGNMENTS.name], own[REFERENCE.name]

    def show(draw: "Callable[..., Picture]", *tables: Named) -> Illustration:
        names = [each.name for each in tables]
        content = [contents[name] for name in names]
        return pictures.show(lambda: draw(*(own[name] for name in names)), draw.__name__, content)

    of_reads = [
        show(plots.samples.qualities, READ_QUALITY),
        show(plots.samples.gc_content, READ_FILES),
        show(plots.samples.insert_sizes, ALIGNMENTS),
    ]
    of_calls = [
        show(plots.samples.fractions, GENOTYPES),
        show(plots.samples.substitutions, GENOTYPES),
        show(plots.samples.indel_lengths, GENOTYPES),
        show(plots.samples.density, GENOTYPES, REFERENCE),
    ]
    variants = merged(calls, own[ANNOTATIONS.name], own[VARIANTS.name], own[CONSEQUENCES.name])
    cram = str(local_home(home.uri) / alignments["path"].iloc[0])
    of_variants = [
        pictures.show(
            partial(reads_at, cram, fasta_of(home), row),
            "reads_at",
            [row[name] for name in ("contig", "pos", "ref", "alt")],
            [contents[ALIGNMENTS.name], contents[REFERENCE.name]],
        )
        for row in telling(variants).to_dict("records")
    ]
    databases = {
        each.name: next(o.settings.get("file", "none") for o in origins if o.name == each.name)
        for each in (CLINVAR, GNOMAD, GENE_MODELS)
    }
    silent = sorted({*variants["contig"]} - {*own[CLINVAR.name]["contig"]})
    qc = {str(name): value for name, value in own[SAMPLE_QC.name].iloc[0].items()}
    return Report(
        title=f"Variants of {sample}",
        generated=f"by OpenGenome Assets {__version__}, content opengenome:{key}. {FOOTER}",
        summary=plots.report_sections.summary(qc, variants),
        sections=[
            plots.report_sections.findings(variants, databases, silent),
            *plots.report_sections.piles(of_variants),
            plots.report_sections.calls(variants, of_calls),
            *plots.report_sections.against_known(own[BENCHMARK.name]),
            plots.report_sections.depth(own[READ_DEPTH.name], contigs, [show(plots.samples.depth, READ_DEPTH)]),
            plots.report_sections.reads(own[READ_FILES.name], alignments, of_reads),
            plots.report_sections.method(alignments, own[RAW_READS.name], contigs, databases),
        ],
        provenance=origins,
        warnings=warnings(sample, qc, alignments, calls),
    )


def warnings(sample: str, qc: Mapping[str, Any], alignments: "pd.DataFrame", calls: "pd.DataFrame") -> list[str]:
    """Return what the checks warn about the sample, as sentences."""
    found = [*unusual(qc), *(warning for row in alignments.to_dict("records") for warning in left_out(row))]
    silent = [] if len(calls) else [f"Sample {sample} {NO_VARIANT}."]
    return [*(f"Sample {sample}: {warning}." for warning in found), *silent]


def merged(
    genotypes: "pd.DataFrame", annotations: "pd.DataFrame", variants: "pd.DataFrame", consequences: "pd.DataFrame"
) -> "pd.DataFrame":
    """Return a sample's calls with what is stated of their alleles, and the consequence of the highest impact."""
    order = consequences["impact"].map(IMPACTS.index)
    worst = consequences.assign(order=order).sort_values(["variant_key", "order", "transcript"], kind="stable")
    worst = worst.drop_duplicates("variant_key")[["variant_key", "gene", "consequence", "impact", "hgvs_p"]]
    shown = annotations.drop(columns=["contig", "pos", "ref", "alt"])
    cohort = variants[["variant_key", "kind", "ac", "an"]]
    return (
        genotypes.merge(shown, on="variant_key", how="left")
        .merge(cohort, on="variant_key", how="left")
        .merge(worst, on="variant_key", how="left")
    )


def telling(variants: "pd.DataFrame") -> "pd.DataFrame":
    """Return the variants whose reads are shown: by ClinVar's statement, then impact, then the smallest share."""
    order = variants.assign(
        stated=variants["class"].map(lambda each: min(CLASSES.index(each), 4)),  # benign and not listed are one
        harm=variants["impact"].map(lambda each: IMPACTS.index(each) if each in IMPACTS else len(IMPACTS)),
    )
    return order.sort_values(["stated", "harm", "vaf", "contig", "pos", "alt"], kind="stable").head(PILES)


def reads_at(cram: str, fasta: str, row: Mapping[Any, Any]) -> "Picture":
    """Return the picture of the reads at a variant."""
    length = len(row["ref"])
    pile = pile_up(cram, fasta, row["contig"], row["pos"], length)
    return plots.pileups.pileup(pile, plots.report_sections.name_of(row), row["pos"], length)


@rule(REPORT, "Every sample has a report as HTML and as PDF, and both name it", blocking=False)
def reports_exist(home: Home) -> list[str]:
    """Look for the files."""
    problems = []
    for sample in home.table(ALIGNMENTS).read(["sample"])["sample"].to_pylist():
        for ending, mark in (("html", f"Variants of {sample}".encode()), ("pdf", b"%PDF-")):
            if mark not in (read_bytes(f"{address(home, sample)}.{ending}") or b""):
                problems.append(f"sample {sample}: no {ending.upper()} in {Path(address(home, sample)).parent}")
    return problems
