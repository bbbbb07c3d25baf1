"""Figures of samples: qualities, GC, insert sizes, depth, allele fractions, substitutions, indels and density.

Belongs here: drawing each, for all samples of a table or for one. Does not belong here: reading tables.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from opengenome_assets import words
from opengenome_assets.plots import style
from opengenome_assets.plots.style import Picture

MOST_CONTIGS = 6
MOST_POINTS = 4_000  # windows drawn of a contig; of more, neighbours are averaged
LONGEST_INDEL = 50
SUBSTITUTIONS = ("C>A", "C>G", "C>T", "T>A", "T>C", "T>G")
_COMPLEMENT = str.maketrans("ACGT", "TGCA")


def _samples(names: Sequence[str], sizes: pd.Series[float]) -> tuple[list[str], str]:
    """Return the samples to draw, and the remark if some are left out."""
    chosen, remark = style.sources_to_draw(sizes.reindex(sorted(set(names)), fill_value=0))
    return chosen, remark.replace("sources", "samples")


def _legend(axes: Axes, number: int) -> None:
    """Name up to ``number`` samples below the panels: inside a panel, long names would cover it."""
    handles, labels = axes.get_legend_handles_labels()
    figure = axes.get_figure(root=True)
    if handles and figure:
        style.legend_below(figure, handles, labels, most=min(3, number))


@style.house_style()
def qualities(cycles: pd.DataFrame) -> Picture:
    """Draw the mean quality of each cycle, mate 1 as a line and mate 2 dashed.

    Parameters
    ----------
    cycles
        Columns sample, mate, cycle, reads, mean_quality of read_quality.
    """
    chosen, remark = _samples(list(cycles["sample"]), cycles.groupby("sample")["reads"].sum())
    styles = style.source_styles(chosen)
    figure, (axes,) = style.panels(1, 1, 3.2)
    lowest = []
    for sample in chosen:
        own = cycles[cycles["sample"] == sample]
        for mate, line in ((1, "-"), (2, "--")):
            rows = own[own["mate"] == mate]
            sums = (rows["mean_quality"] * rows["reads"]).groupby(rows["cycle"]).sum()
            mean = sums / rows.groupby("cycle")["reads"].sum()
            if len(mean):
                lowest.append((float(mean.min()), sample))
                name = style.label(sample) if mate == 1 else None
                axes.plot(mean.index, mean, line, color=styles[sample].color, label=name, linewidth=1.4)
    axes.set_ylim(0, 42)
    axes.set_xlabel("cycle (place in the read)")
    axes.set_ylabel("mean Phred score")
    _legend(axes, len(chosen))
    if not lowest:
        style.say_empty(axes, "no reads")
    title = "Quality of the reads by cycle"
    style.heading(figure, title, remark, "line: mate 1", "dashed: mate 2")
    found = f"The lowest mean is {min(lowest)[0]:.1f}, in {min(lowest)[1]}." if lowest else "There are no reads."
    return Picture(
        figure,
        title,
        "Mean Phred score of all reads that have the cycle, over the sample's lanes. A score of 30 is one error in "
        "1,000 letters.",
        found,
    )


@style.house_style()
def gc_content(files: pd.DataFrame) -> Picture:
    """Draw the distribution of the reads' content of G and C.

    Parameters
    ----------
    files
        Columns sample, reads, gc, gc_histogram of read_files.
    """
    chosen, remark = _samples(list(files["sample"]), files.groupby("sample")["reads"].sum())
    styles = style.source_styles(chosen)
    figure, (axes,) = style.panels(1, 1, 2.8)
    facts = []
    for sample in chosen:
        own = files[files["sample"] == sample]
        counts = np.sum([np.asarray(each, np.int64) for each in own["gc_histogram"]], axis=0)
        if counts.sum():
            facts.append(f"{sample} {words.percent(float(counts @ np.arange(101)) / counts.sum() / 100)}")
            # Reads of one length have only some percentages: neighbours are averaged, or the line would be a comb.
            smooth = np.convolve(counts / counts.sum(), np.ones(5) / 5, "same")
            line = styles[sample]
            axes.plot(100 * smooth, line.linestyle, color=line.color, label=style.label(sample), linewidth=1.4)
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("G and C in a read (%)")
    axes.set_ylabel("reads (%)")
    _legend(axes, len(chosen))
    if not facts:
        style.say_empty(axes, "no reads")
    title = "GC content of the reads"
    style.heading(figure, title, remark, "mean of five neighbours")
    return Picture(
        figure,
        title,
        "G and C among A, C, G and T of each read, both mates together. A second peak, or one far from the reference's "
        "own content, is a sign of contamination.",
        f"Mean content: {', '.join(facts) or 'none'}.",
    )


@style.house_style()
def insert_sizes(alignments: pd.DataFrame) -> Picture:
    """Draw the distribution of insert sizes.

    Parameters
    ----------
    alignments
        Columns sample, reads, insert_sizes of alignments.
    """
    chosen, remark = _samples(list(alignments["sample"]), alignments.groupby("sample")["reads"].sum())
    styles = style.source_styles(chosen)
    figure, (axes,) = style.panels(1, 1, 3.0)
    facts, longest = [], 1
    for sample in chosen:
        counts = np.asarray(alignments[alignments["sample"] == sample]["insert_sizes"].iloc[0], np.int64)
        if counts.sum():
            sums = np.cumsum(counts)
            facts.append(f"{sample} {int(np.searchsorted(sums, sums[-1] / 2))}")
            longest = max(longest, int(np.searchsorted(sums, sums[-1] * 0.995)))
            smooth = np.convolve(counts / counts.sum(), np.ones(5) / 5, "same")
            axes.plot(100 * smooth, color=styles[sample].color, label=style.label(sample), linewidth=1.2)
    axes.set_xlim(0, longest * 1.05)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("insert size (letters)")
    axes.set_ylabel("pairs (%)")
    _legend(axes, len(chosen))
    if not facts:
        style.say_empty(axes, "no pairs")
    title = "Insert sizes"
    style.heading(figure, title, remark, "mean of five neighbours")
    return Picture(
        figure,
        title,
        "Distance between the outer ends of both mates on the reference, of pairs on one contig. The last half per "
        "cent is not shown.",
        f"Median insert sizes: {', '.join(facts) or 'none'}.",
    )


@style.house_style()
def depth(coverage: pd.DataFrame) -> Picture:
    """Draw the mean depth along the longest contigs, a panel each.

    Parameters
    ----------
    coverage
        Columns sample, contig, start, end, mean of coverage.
    """
    sizes = coverage["mean"].groupby(coverage["sample"]).sum()
    chosen, remark = _samples(list(coverage["sample"]), sizes)
    styles = style.source_styles(chosen)
    lengths = coverage.groupby("contig")["end"].max().sort_values(ascending=False)
    contigs = sorted(lengths.index[:MOST_CONTIGS], key=lambda name: (-lengths[name], name))
    figure, panels = style.panels(len(contigs), 1, 2.6 if len(contigs) < 3 else 1.7)
    for axes, contig in zip(panels, contigs, strict=False):
        for sample in chosen:
            rows = coverage[(coverage["contig"] == contig) & (coverage["sample"] == sample)].sort_values("start")
            step = -(-len(rows) // MOST_POINTS) or 1
            group = np.arange(len(rows)) // step
            points = rows.assign(middle=(rows["start"] + rows["end"]) / 2)[["middle", "mean"]].groupby(group).mean()
            line = styles[sample]
            color, name = line.color, style.label(sample)
            axes.plot(points["middle"], points["mean"], line.linestyle, color=color, label=name, linewidth=1.2)
        axes.set_title(str(contig))
        axes.set_ylim(bottom=0)
        axes.set_ylabel("mean depth")
        axes.xaxis.set_major_formatter(lambda value, _: words.bases(value))
    panels[-1].set_xlabel("position")
    _legend(panels[0], len(chosen))
    if not contigs:
        style.say_empty(panels[0], "no coverage")
    title = "Depth along the reference"
    left_out = f"{MOST_CONTIGS} longest of {len(lengths)} contigs" if len(lengths) > MOST_CONTIGS else ""
    style.heading(figure, title, remark, left_out, "windows of 1 kb")
    means = [f"{sample} {coverage[coverage['sample'] == sample]['mean'].mean():.0f}" for sample in chosen]
    return Picture(
        figure,
        title,
        "Mean depth of windows of 1,000 letters, without duplicates; where mates overlap they count once. Near the "
        "ends of a circular contig depth is lower, because reads across its origin are clipped.",
        f"Mean depth: {', '.join(means) or 'none'}.",
    )


@style.house_style()
def fractions(genotypes: pd.DataFrame) -> Picture:
    """Draw the fractions of reads with the called allele.

    Parameters
    ----------
    genotypes
        Columns sample, vaf of genotypes that passed.
    """
    chosen, remark = _samples(list(genotypes["sample"]), genotypes.groupby("sample")["vaf"].count().astype(float))
    styles = style.source_styles(chosen)
    figure, (axes,) = style.panels(1, 1, 2.8)
    edges = np.linspace(0, 1, 41).tolist()
    for sample in chosen:
        values = genotypes[genotypes["sample"] == sample]["vaf"].dropna()
        color = styles[sample].color
        axes.hist(values, edges, histtype="step", color=color, label=style.label(sample), linewidth=1.4)
    axes.set_xlim(0, 1.01)
    axes.set_xlabel("share of reads with the allele")
    axes.set_ylabel("alleles")
    style.count_axis(axes)
    _legend(axes, len(chosen))
    if not len(genotypes):
        style.say_empty(axes, "no variants")
    title = "Fractions of alleles"
    style.heading(figure, title, remark, words.plural(len(genotypes), "call"), "bins of 2.5 %")
    mixed = float((genotypes["vaf"] < 0.9).mean()) if len(genotypes) else 0.0
    return Picture(
        figure,
        title,
        "Reads with the called allele, over reads with it or the reference's. A haploid or homozygous allele is near "
        "1, a heterozygous one near 0.5. Haploid alleles well below 1 are heteroplasmy, contamination, or copies in "
        "the nucleus.",
        f"{words.percent(mixed)} of the calls have a share below 0.9.",
    )


@style.house_style()
def substitutions(genotypes: pd.DataFrame) -> Picture:
    """Draw single-nucleotide variants by substitution, both strands together.

    Parameters
    ----------
    genotypes
        Columns sample, ref, alt of genotypes that passed.
    """
    single = genotypes[(genotypes["ref"].str.len() == 1) & (genotypes["alt"].str.len() == 1)]
    kinds = [substitution(ref, alt) for ref, alt in zip(single["ref"], single["alt"], strict=True)]
    counts = pd.crosstab(single["sample"].to_numpy(), np.asarray(kinds, dtype=object)) if kinds else pd.DataFrame()
    counts = counts.reindex(columns=SUBSTITUTIONS, fill_value=0)
    chosen, remark = _samples(list(counts.index), counts.sum(axis=1).astype(float))
    styles = style.source_styles(chosen)
    figure, (axes,) = style.panels(1, 1, 2.8)
    width = 0.8 / max(len(chosen), 1)
    for place, sample in enumerate(chosen):
        at = np.arange(len(SUBSTITUTIONS)) - 0.4 + width * (place + 0.5)
        axes.bar(at, counts.loc[sample], width, color=styles[sample].color, label=style.label(sample))
    axes.set_xticks(range(len(SUBSTITUTIONS)), SUBSTITUTIONS)
    axes.set_ylabel("variants")
    style.count_axis(axes)
    _legend(axes, len(chosen))
    if not chosen:
        style.say_empty(axes, "no variants")
    title = "Substitutions"
    style.heading(figure, title, remark, words.plural(len(single), "single-nucleotide variant"))
    transitions = int(counts[["C>T", "T>C"]].to_numpy().sum())
    return Picture(
        figure,
        title,
        "Single-nucleotide variants by substitution, written from the strand with C or T in the reference. C>T and T>C "
        "are transitions.",
        f"{words.count(transitions)} of {words.count(len(single))} are transitions.",
    )


def substitution(ref: str, alt: str) -> str:
    """Return a substitution as seen from the strand on which the reference has C or T."""
    if ref in "AG":
        ref, alt = ref.translate(_COMPLEMENT), alt.translate(_COMPLEMENT)
    return f"{ref}>{alt}"


@style.house_style()
def indel_lengths(genotypes: pd.DataFrame) -> Picture:
    """Draw insertions and deletions by length.

    Parameters
    ----------
    genotypes
        Columns sample, ref, alt of genotypes that passed.
    """
    change = genotypes["alt"].str.len().astype("int64") - genotypes["ref"].str.len().astype("int64")
    indels = pd.DataFrame({"sample": genotypes["sample"], "change": change.clip(-LONGEST_INDEL, LONGEST_INDEL)})
    indels = indels[indels["change"] != 0]
    chosen, remark = _samples(list(genotypes["sample"]), indels.groupby("sample")["change"].count().astype(float))
    styles = style.source_styles(chosen)
    figure, (axes,) = style.panels(1, 1, 2.8)
    reach = max(int(indels["change"].abs().max()), 5) if len(indels) else 5
    edges = np.arange(-reach - 0.5, reach + 1)
    for sample in chosen:
        own = indels[indels["sample"] == sample]["change"]
        color = styles[sample].color
        axes.hist(own, edges.tolist(), histtype="step", color=color, label=style.label(sample), linewidth=1.4)
    axes.axvline(0, color=style.RULE, linewidth=0.8)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel("letters deleted (below 0) or inserted")
    axes.set_ylabel("alleles")
    style.count_axis(axes)
    if len(indels):
        _legend(axes, len(chosen))
    else:
        style.say_empty(axes, "no insertions or deletions")
    title = "Lengths of insertions and deletions"
    longer = f"those over {LONGEST_INDEL} letters count as {LONGEST_INDEL}" if reach == LONGEST_INDEL else ""
    style.heading(figure, title, remark, words.plural(len(indels), "allele"), longer)
    deleted = int((indels["change"] < 0).sum())
    return Picture(
        figure,
        title,
        "Called alleles by the difference in length between the allele and the reference. In coding sequences, lengths "
        "that are multiples of three are expected to be the most frequent.",
        f"{words.plural(deleted, 'deletion')} and {words.plural(len(indels) - deleted, 'insertion')}.",
    )


@style.house_style()
def density(genotypes: pd.DataFrame, contigs: pd.DataFrame) -> Picture:
    """Draw the number of variants along the longest contigs, a panel each.

    Parameters
    ----------
    genotypes
        Columns sample, contig, pos of genotypes that passed.
    contigs
        Columns contig, length of the reference.
    """
    chosen, remark = _samples(list(genotypes["sample"]), genotypes.groupby("sample")["pos"].count().astype(float))
    styles = style.source_styles(chosen)
    lengths = contigs.set_index("contig")["length"].sort_values(ascending=False, kind="stable")
    shown = sorted(lengths.index[:MOST_CONTIGS], key=lambda name: (-lengths[name], name))
    figure, panels = style.panels(len(shown), 1, 2.6 if len(shown) < 3 else 1.7)
    window = _window(int(lengths.iloc[0])) if len(lengths) else 1_000
    highest = 0.0
    for axes, contig in zip(panels, shown, strict=False):
        edges = np.append(np.arange(0, lengths[contig], window), lengths[contig])
        for sample in chosen:
            places = genotypes[(genotypes["sample"] == sample) & (genotypes["contig"] == contig)]["pos"]
            # The last window is shorter, so variants are drawn per 1,000 letters.
            counts = np.histogram(places - 1, edges)[0] / np.diff(edges) * 1_000
            highest = max(highest, float(counts.max()))
            axes.stairs(counts, edges, color=styles[sample].color, label=style.label(sample), linewidth=1.2)
        axes.set_title(str(contig))
        axes.set_ylim(bottom=0)
        axes.set_ylabel("variants per kb")
        axes.xaxis.set_major_formatter(lambda value, _: words.bases(value))
    panels[-1].set_xlabel("position")
    if len(genotypes):
        _legend(panels[0], len(chosen))
    else:
        style.say_empty(panels[0], "no variants")
    title = "Variants along the reference"
    left_out = f"{MOST_CONTIGS} longest of {len(lengths)} contigs" if len(lengths) > MOST_CONTIGS else ""
    style.heading(figure, title, remark, left_out, f"windows of {words.bases(window)}")
    return Picture(
        figure,
        title,
        "Calls that passed, in windows. A stretch without variants may be one without reads: compare the depth there.",
        f"The densest window has {highest:.1f} variants per 1,000 letters.",
    )


def _window(length: int) -> int:
    """Return a round size of windows, of which about a hundred make up a contig."""
    sizes = (digit * power for power in (10**2, 10**3, 10**4, 10**5, 10**6, 10**7, 10**8) for digit in (1, 2, 5))
    return next(size for size in sizes if 120 * size >= length)
