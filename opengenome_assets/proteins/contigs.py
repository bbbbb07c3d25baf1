"""Known mutations of proteins in contigs: genes are found, their proteins called, and broken genes read as they stand.

Belongs here: genes of contigs to calls, and disruptions: frameshifts, early stops, insertions and lost ends, which gene
finders hide, since they part a broken gene or begin it elsewhere. Does not belong here: ribosomal RNA and promoters
(`opengenome_assets.proteins.nucleotides`), and the alignment (`opengenome_assets.kernels.frameshifts`).

Where the called proteins of a place cover less of a reference than 95 %, the reference is aligned to the DNA around
them, with frameshifts. What is left of it beyond a gap in the DNA is aligned again on that side.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from Bio.Data import CodonTable
from Bio.Seq import reverse_complement
from Bio.SeqUtils import seq3

from opengenome_assets.kernels.amino_acids import CODES, Codes, doubled_scores, encode
from opengenome_assets.kernels.frameshifts import (
    BACKWARD,
    CODON,
    DELETION,
    FORWARD,
    INSERTION,
    FrameAlignment,
    align_frames,
)
from opengenome_assets.kernels.genes import find_genes
from opengenome_assets.proteins.calls import ProteinCalls, call
from opengenome_assets.proteins.catalogue import Catalogue, Reference

GAP_OPEN, GAP_EXTEND, FRAMESHIFT = 11, 1, 15
"""Costs of a gap's first codon, of each further one, and of one base more or less: DIAMOND's.

Gaps as cheap as 10 and 0.5 let an alignment with frameshifts run on through random letters.
"""

_WHOLE = 0.95  # share of a reference: a protein that covers as much is not looked at again
_END = 0.05  # share of a reference: fewer letters missing at an end are no disruption
_LEAST_SCORE = 60  # of a piece of a gene beyond a break; 90 pieces aligned to 5,000 to 8,000 random bases scored <= 51
_INSERTED = 20  # codons: a longer run in one piece is an insertion and no change of the protein
_FARTHEST = 5_000  # bases inside a gene that are looked across: most insertion sequences have 700 to 2,500


@dataclass(frozen=True)
class Gene:
    """A gene called in a contig, 0-based, half-open, on the contig as given. Its protein has no stop at its end."""

    contig: str
    start: int
    end: int
    strand: int
    partial_5: bool
    partial_3: bool
    protein: str


@dataclass(frozen=True)
class Disruption:
    """How a gene differs from its wild type so that its protein is not made whole.

    Attributes
    ----------
    kind : str
        frameshift, stop, insertion (of DNA that is not the gene's), start_lost or end_lost (the contig goes on with
        other DNA).
    position : int
        On the reference, 1-based: the first letter that is not made as it should be.
    start, end, strand
        What is left of the gene on the contig as given, 0-based, half-open.
    name : str
        ``p.Tyr253CysfsTer5`` or ``p.Lys141Ter``; for the other kinds as ``ins140_141``, ``1-35del``.
    """

    contig: str
    start: int
    end: int
    strand: int
    reference: Reference
    kind: str
    position: int
    name: str


@dataclass(frozen=True)
class ContigCalls:
    """Everything found in contigs: genes, what was found about each one's protein, and disruptions."""

    genes: tuple[Gene, ...]
    calls: tuple[ProteinCalls, ...]
    disruptions: tuple[Disruption, ...]


def call_contigs(
    contigs: Mapping[str, str],
    catalogue: Catalogue,
    *,
    organism: str | None = None,
    genetic_code: int = 11,
    least_identity: float = 0.8,
) -> ContigCalls:
    """Find genes, call the catalogue's mutations in their proteins, and look at broken genes.

    Only a gene whose end lies beyond its contig's edge (``partial_3``) has no early stop called; one whose beginning
    lies there has. A gene of which no called protein is near enough to be assigned is not seen as broken.

    Parameters
    ----------
    contigs : mapping of str to str
        Sequences by name.
    catalogue, organism, least_identity
        As for `opengenome_assets.proteins.calls.call`.
    genetic_code : int
        NCBI number of the translation table.

    Raises
    ------
    ValueError
        There is no such genetic code, or the catalogue knows no such organism.
    """
    genes: list[Gene] = []
    for name, sequence in contigs.items():
        letters = np.frombuffer(sequence.upper().replace("U", "T").encode("latin-1", "replace"), np.uint8)
        found = find_genes(letters, genetic_code)
        rows = zip(
            *(found.begin.tolist(), found.end.tolist(), found.strand.tolist(), found.partial_5.tolist()),
            *(found.partial_3.tolist(), found.proteins.to_pylist()),
            strict=True,
        )
        genes += [Gene(name, begin - 1, *rest) for begin, *rest in rows]
    names = [str(number) for number in range(len(genes))]
    partial_3 = {name for name, gene in zip(names, genes, strict=True) if gene.partial_3}
    proteins = {name: gene.protein for name, gene in zip(names, genes, strict=True)}
    results = call(proteins, catalogue, organism=organism, partial_3=partial_3, least_identity=least_identity)
    calls = tuple(results[name] for name in names)
    placed = [
        Placed(gene.contig, gene.start, gene.end, gene.strand, result.reference, result.alignment.coverage_reference)
        for gene, result in zip(genes, calls, strict=True)
        if result.reference and result.alignment and not result.reason
    ]
    return ContigCalls(tuple(genes), calls, tuple(find_disruptions(contigs, placed, genetic_code)))


@dataclass(frozen=True)
class Placed:
    """A gene on a contig, 0-based, half-open, with the reference of its protein and the share of it that is covered."""

    contig: str
    start: int
    end: int
    strand: int
    reference: Reference
    coverage: float


def find_disruptions(contigs: Mapping[str, str], genes: Iterable[Placed], genetic_code: int = 11) -> list[Disruption]:
    """Find the disruptions of each place of a reference that no protein covers whole, by contig and place."""
    places: dict[tuple[str, int, Reference], list[tuple[Placed, float]]] = defaultdict(list)
    for gene in genes:
        places[gene.contig, gene.strand, gene.reference].append((gene, gene.coverage))
    disruptions = []
    for (name, strand, reference), found in places.items():
        whole = [gene for gene, coverage in found if coverage >= _WHOLE]
        for group in _groups([gene for gene, coverage in found if coverage < _WHOLE]):
            if any(gene.start < group[-1].end and group[0].start < gene.end for gene in whole):
                continue
            contig = contigs[name].upper().replace("U", "T")
            start, end = group[0].start, group[-1].end
            if strand == -1:
                start, end = len(contig) - end, len(contig) - start
                contig = reverse_complement(contig)  # type: ignore[no-untyped-call]
            disruptions += [
                disruption
                if strand == 1
                else Disruption(
                    *(name, len(contig) - disruption.end, len(contig) - disruption.start, -1),
                    *(reference, disruption.kind, disruption.position, disruption.name),
                )
                for disruption in read_gene(name, contig, start, end, reference, genetic_code)
            ]
    order = {name: number for number, name in enumerate(contigs)}
    return sorted(disruptions, key=lambda one: (order[one.contig], one.start, one.position))


def _groups(genes: list[Placed]) -> list[list[Placed]]:
    """Genes by place: parts of one broken gene stand near each other."""
    groups: list[list[Placed]] = []
    for gene in sorted(genes, key=lambda gene: gene.start):
        if groups and gene.start - groups[-1][-1].end < _FARTHEST:
            groups[-1].append(gene)
        else:
            groups.append([gene])
    return groups


def read_gene(
    name: str, contig: str, start: int, end: int, reference: Reference, genetic_code: int = 11
) -> list[Disruption]:
    """Read a gene on the forward strand of a contig against its wild type, through frameshifts and stops.

    Parameters
    ----------
    name, contig : str
        The contig's name and sequence, upper case.
    start, end : int
        A part of the gene, 0-based, half-open; its whole is looked for around it.
    """
    wild = reference.sequence
    around = 3 * len(wild) + _FARTHEST
    first, last = max(0, start - around), min(len(contig), end + around)
    parts = [_Part.of(contig, first, last, wild, 0, len(wild), genetic_code)]
    if not parts[0].columns:
        return []
    for before in (True, False):
        edge = parts[0] if before else parts[-1]
        low, high = (0, edge.first) if before else (edge.last, len(wild))
        if high - low <= _END * len(wild):
            continue
        reach = _FARTHEST + 3 * (high - low)
        window = (max(0, edge.start - reach), edge.start) if before else (edge.end, min(len(contig), edge.end + reach))
        part = _Part.of(contig, *window, wild, low, high, genetic_code)
        if part.columns and part.found.score >= 2 * _LEAST_SCORE:
            parts.insert(0 if before else len(parts), part)
    start, end = parts[0].start, parts[-1].end
    disruptions = []

    def add(kind: str, position: int, text: str) -> None:
        disruptions.append(Disruption(name, start, end, 1, reference, kind, position, text))

    missing = parts[0].first
    if missing > _END * len(wild) and parts[0].start >= 3 * missing:
        add("start_lost", 1, f"1-{missing}del")
    for number, part in enumerate(parts):
        if number:
            between = parts[number - 1].last
            add("insertion", between + 1, f"ins{between}_{between + 1}")
        for place, kind, base in part.breaks():
            if kind == "stop":
                add(kind, place + 1, f"p.{_three(wild[place])}{place + 1}Ter")
            elif kind == "insertion":
                add(kind, place + 1, f"ins{place}_{place + 1}")
            else:
                add("frameshift", *_frameshift(contig, base, wild, place, genetic_code))
    missing = len(wild) - parts[-1].last
    if missing > _END * len(wild) and len(contig) - end >= 3 * missing:
        add("end_lost", parts[-1].last + 1, f"{parts[-1].last + 1}-{len(wild)}del")
    return disruptions


@dataclass(frozen=True)
class _Part:
    """Part of a reference aligned to DNA. Letters and bases are those of the whole reference and contig."""

    found: FrameAlignment
    columns: int
    start: int
    end: int
    first: int
    last: int
    stops: npt.NDArray[np.bool_]
    offset: tuple[int, int]

    @classmethod
    def of(cls, contig: str, start: int, stop: int, wild: str, low: int, high: int, genetic_code: int) -> "_Part":
        codons = _codons(contig[start:stop], genetic_code)
        found = align_frames(
            *(codons, encode(wild[low:high]), doubled_scores("BLOSUM62")),
            *(2 * GAP_OPEN, 2 * GAP_EXTEND, 2 * FRAMESHIFT),
        )
        found = _without_chance(found, codons, encode(wild[low:high]))
        columns = len(found.moves)
        if not columns:
            return cls(found, 0, start, start, low, low, np.empty(0, np.bool_), (low, start))
        read = found.moves != DELETION
        stops = np.zeros(columns, np.bool_)
        stops[read] = codons[found.base[read]] == CODES[ord("*")]
        return cls(
            *(found, columns, start + int(found.base[0]), start + int(found.base[-1]) + 3),
            *(low + int(found.reference[0]), low + int(found.reference[-1]) + 1, stops, (low, start)),
        )

    def breaks(self) -> list[tuple[int, str, int]]:
        """Stops, frameshifts and long insertions: a letter of the reference, the kind, and a base.

        The letter of a frameshift or insertion is the one after the last that was paired in frame, and the base is the
        first of that pair's codon. A gap may follow it.
        """
        low, start = self.offset
        found = []
        paired = inserted = 0
        for column in range(1, self.columns):
            move = int(self.found.moves[column])
            if move in (FORWARD, BACKWARD) or (move == CODON and inserted >= _INSERTED):
                place = low + int(self.found.reference[paired]) + 1
                kind = "insertion" if inserted >= _INSERTED else "frameshift"
                found.append((place, kind, start + int(self.found.base[paired])))
            elif self.stops[column] and move == CODON:
                found.append((low + int(self.found.reference[column]), "stop", start + int(self.found.base[column])))
            inserted = inserted + 1 if move == INSERTION else 0
            if move not in (DELETION, INSERTION):
                paired = column
        return found


def _without_chance(found: FrameAlignment, codons: Codes, wild: Codes) -> FrameAlignment:
    """The alignment without what chance may have added at its ends: pieces beyond a frameshift that score little.

    Pairs are counted only, not gaps.
    """
    paired = np.isin(found.moves, (CODON, FORWARD, BACKWARD))
    scores = np.zeros(len(found.moves), np.int64)
    scores[paired] = doubled_scores("BLOSUM62")[codons[found.base[paired]], wild[found.reference[paired]]]
    cuts = [0, *np.flatnonzero(np.isin(found.moves, (FORWARD, BACKWARD))).tolist(), len(found.moves)]
    first, last = 0, len(cuts) - 1
    while last - first > 1 and scores[cuts[last - 1] : cuts[last]].sum() < 2 * _LEAST_SCORE:
        last -= 1
    while last - first > 1 and scores[cuts[first] : cuts[first + 1]].sum() < 2 * _LEAST_SCORE:
        first += 1
    kept = np.arange(cuts[first], cuts[last])
    kept = kept[np.flatnonzero(paired[kept])[0] : np.flatnonzero(paired[kept])[-1] + 1] if paired[kept].any() else kept
    return FrameAlignment(found.score, found.moves[kept], found.reference[kept], found.base[kept])


def _frameshift(contig: str, base: int, wild: str, place: int, genetic_code: int) -> tuple[int, str]:
    """Position and HGVS name of a frameshift: the first letter that changes, and the stop of the new frame.

    ``base`` is where the last codon in frame begins, which pairs with the letter before ``place``. The frame is read
    on from there, as a ribosome does.
    """
    codons = _codons(contig[base:], genetic_code)[::3]
    read = np.asarray(codons, np.uint8)
    expected = encode(wild[place - 1 :])
    common = min(len(read), len(expected))
    different = np.flatnonzero(read[:common] != expected[:common])
    changed = int(different[0]) if len(different) else common
    position = place - 1 + changed
    stops = np.flatnonzero(read[changed:] == CODES[ord("*")])
    after = f"Ter{int(stops[0]) + 1}" if len(stops) else "Ter?"
    old = _three(wild[position]) if position < len(wild) else "Ter"
    if len(stops) and stops[0] == 0:
        return position + 1, f"p.{old}{position + 1}Ter"
    new = _three(_letter(int(read[changed]))) if changed < len(read) else "Xaa"
    return position + 1, f"p.{old}{position + 1}{new}fs{after}"


def _letter(code: int) -> str:
    return chr(int(np.flatnonzero(code == CODES)[0]))


def _three(letters: str) -> str:
    return str(seq3(letters))  # type: ignore[no-untyped-call]


@cache
def _translations(genetic_code: int) -> Codes:
    """Codes of amino acids by codon, in the order of A, C, G, T."""
    table = CodonTable.unambiguous_dna_by_id[genetic_code]
    letters = [table.forward_table.get(a + b + c, "*") for a in "ACGT" for b in "ACGT" for c in "ACGT"]
    return encode("".join(letters))


def _codons(sequence: str, genetic_code: int) -> Codes:
    """Code of the codon that begins at each base; of one with another letter than A, C, G, T that of X."""
    table = np.full(256, 64, np.int64)
    table[np.frombuffer(b"ACGT", np.uint8)] = np.arange(4)
    bases = table[np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)]
    if len(bases) < 3:
        return np.empty(0, np.uint8)
    codes = 16 * bases[:-2] + 4 * bases[1:-1] + bases[2:]
    by_codon = _translations(genetic_code)
    found: Codes = np.where(codes < 64, by_codon[np.minimum(codes, 63)], CODES[ord("X")]).astype(np.uint8)
    return found
