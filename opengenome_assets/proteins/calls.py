"""Known mutations of proteins: each protein is aligned to its wild type, and the catalogue's entries are looked for.

Belongs here: assignment, the choice of the reference, and the two kinds of evidence. Does not belong here: the
catalogue's files (`opengenome_assets.proteins.catalogue`).
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from opengenome_assets.kernels.alignments import align_pairs
from opengenome_assets.kernels.amino_acids import doubled_scores, encode
from opengenome_assets.kernels.assignment import Index
from opengenome_assets.proteins.alignment import Alignment, Scoring, alignment_of, cleaned
from opengenome_assets.proteins.catalogue import Catalogue, Mutation, Reference

# Letters on either side of an insertion or deletion that are compared as a haplotype, and how many may differ.
_FLANK, _FLANK_DIFFERENCES = 6, 2
# Distinct proteins that are assigned and aligned at once, so that memory for their letters and pairs has a bound. For a
# million that mostly miss it is 0.13 GB less.
_BLOCK = 100_000


@dataclass(frozen=True)
class Call:
    """A known mutation found in a protein.

    ``evidence`` is residue (all its changes are among the alignment's), haplotype (the letters around it read as the
    reference with it put in), or protein_end (the protein ends where it says).
    """

    mutation: Mutation
    evidence: str


@dataclass(frozen=True)
class ProteinCalls:
    """What was found about one protein.

    ``reference`` and ``alignment`` are None when no reference was assigned. ``reason`` says why a protein was not
    examined; it is empty of one that was, so that no calls and no reason mean the wild type.
    """

    name: str
    reference: Reference | None
    alignment: Alignment | None
    calls: tuple[Call, ...]
    reason: str = ""


def call(
    proteins: Mapping[str, str],
    catalogue: Catalogue,
    *,
    organism: str | None = None,
    partial_3: Collection[str] = (),
    least_identity: float = 0.8,
    scoring: Scoring | None = None,
) -> dict[str, ProteinCalls]:
    """Call the catalogue's mutations in proteins.

    A protein is assigned to the reference with the highest score, of those with which it shares enough k-mers
    (`opengenome_assets.kernels.assignment`); of equal ones to the first in the catalogue. At an identity of 0.8 or more
    over 30 % of a reference of 51 letters or more, no reference is missed. A ``*`` inside a protein ends it.

    Parameters
    ----------
    proteins : mapping of str to str
        Sequences by name. One that cannot be read has a ``reason`` and costs only itself.
    catalogue : Catalogue
        From `opengenome_assets.proteins.catalogue.read_catalogue`.
    organism : str or None
        Only mutations known of it; None takes those of every organism.
    partial_3 : collection of str
        Names of proteins whose end is missing, as at a contig's edge: no early stop is called in them.
    least_identity : float
        In (0, 1]. Nothing is called in an alignment below it, and ``reason`` says so: a far relative of the wild type
        has other letters at many positions, which mean nothing about resistance. Assignment is lossless from here on.
    scoring : Scoring or None
        BLOSUM62, 10 and 0.5 unless given.

    Returns
    -------
    dict of str to ProteinCalls
        Every protein once, in the order given.

    Raises
    ------
    ValueError
        The catalogue knows no such organism, or the scoring cannot be used.
    """
    scoring, chosen = scoring or Scoring(), catalogue.of(organism)
    by_reference: dict[str, list[Mutation]] = defaultdict(list)
    for mutation in chosen.mutations:
        by_reference[mutation.reference.accession].append(mutation)
    results: dict[str, ProteinCalls] = {}
    sequences: dict[str, str] = {}
    for name, protein in proteins.items():
        results[name] = ProteinCalls(name, None, None, (), "No reference shares enough k-mers.")
        try:
            sequence = cleaned(protein).partition("*")[0]
            sequences[name] = protein if sequence == protein else sequence  # equal letters are kept once
            if not sequence:
                raise ValueError("The protein begins with a stop.")
        except ValueError as error:
            results[name] = ProteinCalls(name, None, None, (), str(error))
            sequences.pop(name, None)
    distinct = list(dict.fromkeys(sequences.values()))
    if not distinct or not chosen.references:
        return results
    wild = (
        encode("".join(r.sequence for r in chosen.references)),
        np.cumsum([0, *(len(r.sequence) for r in chosen.references)]),
    )
    index, scores, gaps = Index(*wild, identity=least_identity), doubled_scores(scoring.matrix), scoring.doubled_gaps()
    hits: dict[str, tuple[Reference, Alignment]] = {}
    for first in range(0, len(distinct), _BLOCK):
        some = distinct[first : first + _BLOCK]
        queries = encode("".join(some)), np.cumsum([0, *map(len, some)])
        pairs, _ = index.candidates(*queries)
        found = align_pairs(*queries, *wild, pairs, scores, *gaps)
        best: dict[int, int] = {}
        for pair, (number, _) in enumerate(pairs.tolist()):
            if found.scores[pair] > 0 and (number not in best or found.scores[pair] > found.scores[best[number]]):
                best[number] = pair
        for number, pair in best.items():
            reference = chosen.references[pairs[pair, 1]]
            hits[some[number]] = reference, alignment_of(found, pair, some[number], reference.sequence)
    for name, sequence in sequences.items():
        if sequence not in hits:
            continue
        reference, alignment = hits[sequence]
        if alignment.identity < least_identity:
            identity = f"{alignment.identity:.2f}, below {least_identity:g}"
            reason = f"Diverged: its identity to {reference.accession} is {identity}."
            results[name] = ProteinCalls(name, reference, alignment, (), reason)
            continue
        calls = known_changes(alignment, by_reference[reference.accession], complete=name not in partial_3)
        results[name] = ProteinCalls(name, reference, alignment, calls)
    return results


def known_changes(alignment: Alignment, mutations: Collection[Mutation], *, complete: bool = True) -> tuple[Call, ...]:
    """The entries of one reference that an alignment to it shows, in the catalogue's order.

    ``complete``: the query's last letter is the protein's last, and not where a contig ended.
    """
    shown = set(alignment.changes)
    places = places_of(alignment)
    calls = []
    for mutation in mutations:
        if mutation.kind in ("stop", "frameshift"):
            if complete and _ends(alignment, places, mutation):
                calls.append(Call(mutation, "protein_end"))
        elif mutation.changes and shown.issuperset(mutation.changes):
            calls.append(Call(mutation, "residue"))
        elif len(mutation.ref) != len(mutation.alt) and _reads(alignment, places, mutation):
            calls.append(Call(mutation, "haplotype"))
    return tuple(calls)


def places_of(alignment: Alignment) -> dict[int, int]:
    """Place in the query of each letter of the reference that is paired with one, 0-based."""
    places: dict[int, int] = {}
    i, j = alignment.reference_start, alignment.query_start
    for length, operation in alignment._runs:
        if operation in "=X":
            places.update(zip(range(i, i + length), range(j, j + length), strict=True))
        i += length if operation != "I" else 0
        j += length if operation != "D" else 0
    return places


def _ends(alignment: Alignment, places: Mapping[int, int], mutation: Mutation) -> bool:
    """Whether the query ends as a stop or frameshift says, right after the letter that precedes it."""
    before = places.get(mutation.position - 2, -2)
    if mutation.stop_after is None:
        return before == len(alignment.query) - 1
    rest = alignment.query[before + 1 :]
    return before >= 0 and rest[:1] == mutation.alt and len(rest) == mutation.stop_after - 1


def _reads(alignment: Alignment, places: Mapping[int, int], mutation: Mutation) -> bool:
    """Whether the query, between two anchors, is the reference with the mutation put in.

    The allele must be exact; the flanks may differ in two letters. An aligner may place a gap elsewhere among other
    changes. Windows of several widths are tried, since the anchors must be paired letters.
    """
    reference, query = alignment.reference, alignment.query
    start, end = mutation.position - 1, mutation.position - 1 + len(mutation.ref)
    for flank in (_FLANK, _FLANK + 2, _FLANK - 2, _FLANK + 5):
        left, right = max(0, start - flank), min(len(reference), end + flank)
        if left not in places or right - 1 not in places or left == start or right == end:
            continue
        read = query[places[left] : places[right - 1] + 1]
        wanted = reference[left:start] + mutation.alt + reference[end:right]
        allele = slice(start - left, start - left + len(mutation.alt))
        if len(read) == len(wanted) and read[allele] == mutation.alt:
            return sum(a != b for a, b in zip(read, wanted, strict=True)) <= _FLANK_DIFFERENCES
    return False
