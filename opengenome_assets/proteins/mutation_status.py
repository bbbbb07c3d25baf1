"""mutation_status: each gene of the catalogue of an accession's organism, and whether its known sites were seen.

Belongs here: the outcomes and their reasons, and the rule of the table. Does not belong here: calls
(``mutation_calls.py``), which commits it.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from opengenome_assets import words
from opengenome_assets.framework.checks import rule
from opengenome_assets.proteins.assignment import Assignment, Frame
from opengenome_assets.proteins.calls import places_of
from opengenome_assets.proteins.catalogue import DNA, PROTEIN, Mutation
from opengenome_assets.proteins.nucleotides import LEAST_IDENTITY, Copy
from opengenome_assets.proteins.passes.align import IDENTITY
from opengenome_assets.proteins.tables import ACCESSIONS, KNOWN_MUTATIONS, MUTATION_STATUS
from opengenome_assets.storage.tables import Home

_SHOWN = 8
_EDGE = 3  # bases: an alignment may leave out a last letter that differs


@dataclass(frozen=True)
class Sites:
    """The known sites of a gene in one organism: first and last letter of each entry, on one reference."""

    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, entries: Sequence[Mutation]) -> "Sites":
        """Return the sites of entries, ascending."""
        spans = sorted({(entry.position, entry.position + len(entry.ref) - 1) for entry in entries})
        return cls(*(np.array(side) for side in zip(*spans, strict=True)))

    def inside(self, start: int, end: int, unclear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which sites lie from start to end: those read, and those where a letter is unclear."""
        inside = (self.first >= start) & (self.last <= end)
        hidden = np.searchsorted(unclear, self.last, "right") > np.searchsorted(unclear, self.first)
        return inside & ~hidden, inside & hidden

    def called(self, entries: Sequence[Mutation]) -> np.ndarray:
        """Return which sites are those of entries: a mutation that is called was seen."""
        seen = np.zeros(len(self.first), bool)
        for entry in entries:
            seen |= (self.first == entry.position) & (self.last == entry.position + len(entry.ref) - 1)
        return seen


def rows(
    assignment: Assignment,
    assigned: Frame,
    calls: Mapping[int, Sequence[tuple[Mutation, str]]],
    copies: Sequence[Copy],
    disruptions: Sequence[Mapping[str, Any]],
    with_contigs: Collection[str],
) -> list[dict[str, Any]]:
    """Return a row for each accession and gene of its organism's catalogue.

    Parameters
    ----------
    assigned
        The assigned proteins.
    calls
        Their calls, by row.
    copies
        The copies of references of DNA.
    disruptions
        Rows of the table.
    with_contigs
        Accessions that have a file of contigs.
    """
    by_accession = dict(iter(assigned.groupby("accession")))
    broken: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    by_gene: dict[tuple[str, str], list[Copy]] = defaultdict(list)
    genes_of = {each.accession: each.gene for each in assignment.entries[DNA].catalogue.references}
    for copy in copies:
        by_gene[copy.row["accession"], genes_of[copy.row["reference"]]].append(copy)
    for row in disruptions:
        broken[row["accession"], row["gene"]].append(row)
    found: list[dict[str, Any]] = []
    for given in assignment.given.sort_values("accession").itertuples():
        accession, organism = given.accession, assignment.organism[given.accession]
        own = by_accession.get(accession, assigned.iloc[:0])
        molecules = [name for name, entries in assignment.entries.items() if organism or entries.any]
        if not molecules:
            found.append(_unknown(assignment, given, own))
        for molecule in molecules:
            genes: dict[str, dict[str, list[Mutation]]] = defaultdict(dict)
            for name, entries in assignment.entries[molecule].of(organism).items():
                genes[entries[0].reference.gene][name] = entries
            for gene in sorted(genes):
                if molecule == PROTEIN:
                    row = _gene(own[own["gene"] == gene], genes[gene], calls, broken[accession, gene])
                else:
                    row = _dna(by_gene[accession, gene], genes[gene], accession in with_contigs)
                found.append({"accession": accession, "organism": organism, "molecule": molecule, "gene": gene, **row})
    return found


def _unknown(assignment: Assignment, given: Any, own: Frame) -> dict[str, Any]:
    named = f"The catalogue has no organism {given.organism!r}" if given.organism else "No organism is named"
    entries = assignment.entries[PROTEIN]
    owners = {each: set(entries.of(each)) for each in entries.catalogue.organisms}
    references = own[own["near"]]["reference"]
    votes = Counter(each for name in references for each, names in owners.items() if name in names)
    close = ""
    if votes:
        likely, number = votes.most_common(1)[0]
        close = f" {words.plural(number, 'protein')} come closest to wild types of {likely}."
    reason = f"{named}: name one of the catalogue's in the sample sheet.{close}"
    return {
        "accession": given.accession,
        "organism": "",
        "molecule": "",
        "gene": "",
        **_outcome("organism_unknown", reason, 0, 0, 0),
        "examined": False,
    }


def _gene(
    own: Frame,
    entries: Mapping[str, Sequence[Mutation]],
    calls: Mapping[int, Sequence[tuple[Mutation, str]]],
    broken: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return what is known of a gene in an accession, from all its proteins and from the DNA around them."""
    if own.empty:
        first = next(iter(entries))
        sites = len(Sites.of(entries[first]).first)
        return _outcome("absent", f"No protein is alike to {words.listing(list(entries), 3)}.", 0, sites, 0)
    ranked = own.sort_values(["near", "score"], ascending=False, kind="stable")
    best = ranked.iloc[0]
    wanted = Sites.of(entries[best["reference"]])
    measures = {name: best[name] for name in ("protein_id", "reference", "level", "identity", "coverage_reference")}
    if not best["near"]:
        reason = f"Its identity to {best['reference']} is {best['identity']:.2f}, below {IDENTITY:g}."
        return _outcome("diverged", reason, 0, len(wanted.first), 0) | measures
    seen, unclear = np.zeros(len(wanted.first), bool), np.zeros(len(wanted.first), bool)
    edge = False
    for row in ranked[ranked["near"] & (ranked["reference"] == best["reference"])].itertuples():
        read, hidden = wanted.inside(row.reference_start, row.reference_end, np.asarray(row.ambiguous))
        seen, unclear = seen | read, unclear | hidden
        edge |= (row.partial_5 is True and row.query_start == 1 and row.reference_start > 1) or (
            row.partial_3 is True and row.query_end == row.query_length
        )
    found = [entry for place in own.index for entry, _ in calls.get(place, ())]
    seen |= wanted.called(found)
    window = f"The protein covers {best['reference_start']} to {best['reference_end']} of {best['reference_length']}."
    return _judged(found, wanted, seen, unclear, edge, window, _broken(broken)) | measures


def _dna(copies: Sequence[Copy], entries: Mapping[str, Sequence[Mutation]], has_contigs: bool) -> dict[str, Any]:
    """Return what is known of a gene or promoter of DNA in an accession, from all its copies."""
    sites = len(Sites.of(entries[next(iter(entries))]).first)
    if not has_contigs:
        return _outcome("no_contigs", "It is looked for in contigs, and the accession has proteins only.", 0, sites, 0)
    if not copies:
        return _outcome("absent", f"No contig has a copy of {words.listing(list(entries), 3)}.", 0, sites, 0)
    ranked = sorted(copies, key=lambda copy: (copy.near, copy.row["score"]), reverse=True)
    best = ranked[0]
    wanted = Sites.of(entries[best.row["reference"]])
    measures = {name: best.row[name] for name in ("reference", "identity", "coverage_reference")}
    measures |= {"protein_id": best.name}
    if not best.near:
        reason = f"Its identity to {best.row['reference']} is {best.row['identity']:.2f}, below {LEAST_IDENTITY:g}."
        return _outcome("diverged", reason, 0, len(wanted.first), 0) | measures
    near = [copy for copy in ranked if copy.near]
    seen, unclear = np.zeros(len(wanted.first), bool), np.zeros(len(wanted.first), bool)
    edge = False
    for copy in near:
        if copy.row["reference"] == best.row["reference"]:
            row = copy.row
            read, hidden = wanted.inside(row["reference_start"], row["reference_end"], _unclear(copy))
            seen, unclear = seen | read, unclear | hidden
            whole = row["reference_start"] == 1 and row["reference_end"] == row["reference_length"]
            edge |= not whole and (row["start"] <= _EDGE or row["end"] > row["contig_length"] - _EDGE)
    found = [entry for copy in near for entry, _ in copy.calls]
    seen |= wanted.called(found)
    row = best.row
    window = f"The copy covers {row['reference_start']} to {row['reference_end']} of {row['reference_length']}."
    mutated = sum(1 for copy in near if copy.calls)
    number = f"{mutated} of {len(near)} copies." if mutated and len(near) > 1 else ""
    return _judged(found, wanted, seen, unclear, edge, window, number) | measures


def _unclear(copy: Copy) -> np.ndarray:
    """Return the positions of the reference that meet another letter than A, C, G and T."""
    places = places_of(copy.alignment).items() if {*copy.row["sequence"]} - {*"ACGT"} else ()
    return np.array(sorted(i + 1 for i, j in places if copy.alignment.query[j] not in "ACGT"), np.int64)


def _broken(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return in words how a gene is broken; empty for one that is whole."""
    names = [
        f"{row['kind'].replace('_', ' ')} {row['name']} at {row['contig']}:{row['start']}-{row['end']}" for row in rows
    ]
    return f"Broken in the contigs: {words.listing(names, _SHOWN)}." if names else ""


def _judged(
    found: Sequence[Mutation],
    wanted: Sites,
    seen: np.ndarray,
    unclear: np.ndarray,
    edge: bool,
    window: str,
    more: str,
) -> dict[str, Any]:
    """Return the outcome of a gene that is near its reference. ``more`` says how it is broken, or in which copies."""
    hidden = [str(site) for site in wanted.first[~seen].tolist()]
    missing = f"{words.plural(len(hidden), 'known site')} not seen: {words.listing(hidden, _SHOWN)}." if hidden else ""
    counts = len(found), len(seen), int(seen.sum())
    if found:
        names = f"{words.listing(list(dict.fromkeys(entry.symbol for entry in found)), _SHOWN)}."
        return _outcome("mutated", " ".join(filter(None, (names, more, missing))), *counts)
    if more:
        return _outcome("disrupted", " ".join(filter(None, (more, missing))), *counts)
    if not hidden:
        return _outcome("wild_type", "All known sites were seen, without a known mutation.", *counts)
    if (unclear & ~seen).any():
        return _outcome("ambiguous", f"Letters such as X stand there. {missing}", *counts)
    if edge:
        return _outcome("edge", f"The gene runs over the edge of its contig. {window} {missing}", *counts)
    return _outcome("truncated", f"{window} {missing}", *counts)


def _outcome(outcome: str, reason: str, calls: int, sites: int, seen: int) -> dict[str, Any]:
    return {
        "examined": sites == seen,
        "outcome": outcome,
        "reason": reason,
        "calls": calls,
        "sites": sites,
        "sites_examined": seen,
        "protein_id": "",
    }


@rule(MUTATION_STATUS, "Each accession has each gene of its organism's catalogue once")
def each_gene_once(home: Home) -> Iterator[str]:
    """Count the genes of the catalogue again."""
    genes: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in home.table(KNOWN_MUTATIONS).read(["organism", "molecule", "gene"]).to_pylist():
        genes[row["organism"]].add((row["molecule"], row["gene"]))
    rows = home.table(MUTATION_STATUS).read(["accession", "organism", "molecule", "gene"]).to_pylist()
    found = Counter((row["accession"], (row["molecule"], row["gene"])) for row in rows)
    organisms = {row["accession"]: row["organism"] for row in rows}
    listed: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for accession, gene in found:
        listed[accession].add(gene)
    for accession in home.table(ACCESSIONS).read(["accession"])["accession"].to_pylist():
        organism = organisms.get(accession, "")
        wanted = genes[organism] | genes[""] or {("", "")}
        for gene in sorted(wanted ^ listed[accession]):
            why = "missing" if gene in wanted else "no gene of its organism"
            yield f"{accession}: {' '.join(gene).strip() or 'its one row'} is {why}"
    for (accession, gene), number in found.items():
        if number > 1:
            yield f"{accession}, {gene[1]}: {number} rows"
