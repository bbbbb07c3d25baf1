"""figure_*: pictures of the tables, each as PNG and SVG.

Belongs here: which table a picture shows, and keeping it beside the record of what made it. Does not belong here: how
it is drawn (``plots``).
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import dagster as dg
import pandas as pd

from opengenome_assets.corpus import GROUP
from opengenome_assets.corpus.checks import Rule
from opengenome_assets.corpus.plots import codons, kmers, sequences
from opengenome_assets.corpus.plots.profiles import kmer_pca, kmer_profiles
from opengenome_assets.framework.making import Making, lineage
from opengenome_assets.plots.images import ink, thumbnail, to_png, to_svg
from opengenome_assets.plots.style import Picture
from opengenome_assets.storage.files import read_bytes, write_bytes
from opengenome_assets.storage.record import Provenance, common_corpus
from opengenome_assets.storage.tables import Tables

CODE_VERSION = "1"
MAX_PROFILES = 1000
WORDS = ("title", "caption", "alt")


@dataclass(frozen=True)
class FigureSpec:
    """A figure: the tables it shows and how it is drawn from them."""

    name: str
    description: str
    tables: tuple[str, ...]
    draw: Callable[[Tables], Picture]


@dataclass(frozen=True)
class SavedFigure:
    """A figure as it lies on disk: its words, its files with the SHA-256 of each, and what made it."""

    name: str
    title: str
    caption: str
    alt: str
    png: str
    svg: str
    png_sha256: str
    svg_sha256: str
    provenance: Provenance

    def record(self) -> str:
        """Return what is kept beside the pictures, as JSON."""
        words = {word: getattr(self, word) for word in (*WORDS, "png_sha256", "svg_sha256")}
        return json.dumps({**words, "provenance": self.provenance.model_dump(mode="json")}, indent=1)


def figure_specs(ks: Sequence[int]) -> list[FigureSpec]:
    """Return every figure of the group."""
    return [
        FigureSpec(
            "figure_gc_content",
            "GC content of the sequences, by source, with the median.",
            ("sequence_stats",),
            lambda tables: sequences.gc_histogram(tables.read("sequence_stats").to_pandas()),
        ),
        FigureSpec(
            "figure_lengths",
            "Lengths of the sequences, by source, with N50.",
            ("sequence_stats",),
            lambda tables: sequences.length_distribution(tables.read("sequence_stats").to_pandas()),
        ),
        *(
            FigureSpec(
                f"figure_kmers_k{k}",
                f"The most frequent {k}-mers of each source.",
                (f"kmer_freq_k{k}",),
                partial(draw_top_kmers, k=k),
            )
            for k in ks
        ),
        FigureSpec(
            "figure_spectrum",
            "How many distinct k-mers occur how often, for each k.",
            tuple(f"kmer_freq_k{k}" for k in ks),
            lambda tables: kmers.kmer_spectrum(
                {k: tables.read(f"kmer_freq_k{k}", ["source", "kmer", "count"]).to_pandas() for k in ks}
            ),
        ),
        FigureSpec(
            "figure_codon_usage",
            "Codons per thousand in reading frame 0, grouped by amino acid.",
            ("codon_rscu",),
            lambda tables: codons.codon_usage(tables.read("codon_rscu").to_pandas()),
        ),
        FigureSpec(
            "figure_rscu",
            "Relative synonymous codon usage by source and reading frame.",
            ("codon_rscu",),
            lambda tables: codons.rscu_heatmap(tables.read("codon_rscu").to_pandas()),
        ),
        FigureSpec(
            "figure_kmer_pca",
            f"Principal components of the sequences' 6-mer profiles, at most {MAX_PROFILES:,} sequences.",
            ("tfidf_index", "tfidf_terms"),
            draw_pca,
        ),
    ]


def figure_asset(spec: FigureSpec) -> dg.AssetsDefinition:
    """Return the asset of a figure."""

    @dg.asset(
        name=spec.name,
        group_name=GROUP,
        deps=list(spec.tables),
        code_version=CODE_VERSION,
        kinds={"matplotlib"},
        description=f"{spec.description} To see it here, click [Show Markdown] beside 'picture' below.",
    )
    def figure(context: dg.AssetExecutionContext, tables: Tables) -> dg.MaterializeResult[Any]:
        making = Making(context, __name__)
        provenance = Provenance(
            name=spec.name,
            code_version=CODE_VERSION,
            inputs={table: tables.input(table) for table in spec.tables},
            corpus=common_corpus({table: tables.provenance(table) for table in spec.tables}),
        )
        saved = load_figure(tables, spec.name)
        reused = saved is not None and saved.provenance.data_version == provenance.data_version
        if saved is None or not reused:
            saved = save_figure(tables, spec.name, spec.draw(tables), making.recorded(provenance))
        return dg.MaterializeResult(
            metadata={"reused": reused, **making.metadata(), **figure_metadata(saved)},
            data_version=dg.DataVersion(provenance.data_version),
        )

    return figure


def figure_metadata(saved: SavedFigure) -> dict[str, Any]:
    """Return what the UI shows of a figure."""
    png = read_bytes(saved.png) or b""
    return {
        "picture": dg.MetadataValue.md(
            f"![{saved.title}](data:image/png;base64,{b64encode(thumbnail(png, width=800)).decode()})"
        ),
        "caption": dg.MetadataValue.md(saved.caption),
        "png": dg.MetadataValue.path(saved.png),
        "svg": dg.MetadataValue.path(saved.svg),
        **lineage(saved.provenance),
    }


def figure_rule(spec: FigureSpec) -> Rule:
    """Return the rule that a figure shows something."""

    def problems(tables: Tables) -> list[str]:
        saved = load_figure(tables, spec.name)
        png = read_bytes(saved.png) if saved else None
        if png is None:
            return [f"there is no {spec.name}.png in {tables.home}/figures; materialise {spec.name}"]
        shown = ink(png)
        return (
            [f"{spec.name}.png is as good as blank: {shown.share:.2%} drawn on, {shown.colours} colours"]
            if shown.is_blank
            else []
        )

    return Rule(spec.name, "not_blank", "The picture shows something", problems, blocking=False)


def save_figure(tables: Tables, name: str, picture: Picture, provenance: Provenance) -> SavedFigure:
    """Write a figure as PNG and SVG, and last the record that makes it count."""
    png, svg = to_png(picture.figure), to_svg(picture.figure)
    saved = SavedFigure(
        name,
        picture.title,
        picture.caption,
        picture.alt,
        *_addresses(tables, name),
        _sha256(png),
        _sha256(svg),
        provenance,
    )
    write_bytes(saved.png, png)
    write_bytes(saved.svg, svg)
    write_bytes(_record_address(tables, name), saved.record().encode())
    return saved


def load_figure(tables: Tables, name: str) -> SavedFigure | None:
    """Return a figure that was saved, or None if there is none or its files are not what was saved."""
    content = read_bytes(_record_address(tables, name))
    png, svg = _addresses(tables, name)
    try:
        record = json.loads(content or b"")
        made = Provenance.model_validate(record.pop("provenance"))
        saved = SavedFigure(name=name, png=png, svg=svg, provenance=made, **record)
    except (ValueError, LookupError, TypeError):  # none there, or damaged: it is drawn anew
        return None
    found = [_sha256(read_bytes(uri) or b"") for uri in (saved.png, saved.svg)]
    return saved if found == [saved.png_sha256, saved.svg_sha256] else None


def _addresses(tables: Tables, name: str) -> tuple[str, str]:
    base = f"{tables.home.rstrip('/')}/figures/{name}"
    return f"{base}.png", f"{base}.svg"


def _record_address(tables: Tables, name: str) -> str:
    return f"{tables.home.rstrip('/')}/figures/{name}.json"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def spread_sequences(tables: Tables, limit: int = MAX_PROFILES) -> pd.DataFrame:
    """Return rows of the index, evenly spread over it if there are more than a picture can show.

    Columns: source, length, kmers, codes, counts. Sequences without a valid 6-mer are left out.
    """
    columns = ["source", "length", "kmers", "codes", "counts"]
    index: pd.DataFrame = tables.spread("tfidf_index", columns, limit).to_pandas()
    return index.loc[index["kmers"] > 0]


def draw_top_kmers(tables: Tables, k: int) -> Picture:
    """Draw the most frequent k-mers of each source."""
    columns = ["source", "kmer", "count", "frequency", "rank"]
    return kmers.top_kmers(tables.read(f"kmer_freq_k{k}", columns).to_pandas(), k)


def draw_pca(tables: Tables) -> Picture:
    """Draw sequences by the principal components of their 6-mer profiles."""
    index = spread_sequences(tables)
    sources = tables.read("tfidf_terms", ["source"])["source"].to_pylist()
    return kmer_pca(kmer_profiles(index), index["source"].tolist(), index["length"].tolist(), sources=set(sources))
