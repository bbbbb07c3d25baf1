"""mutation_calls with mutation_status, novel_substitutions and assigned_proteins: what alignments say of accessions.

Belongs here: the calls of each accession, the commit of the four tables, and the rules of calls. Does not belong here:
the choice of references (``assignment.py``), status (``mutation_status.py``), and what counts as evidence
(``calls.py``).

Nothing is aligned here: a new catalogue with unchanged references takes only this.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import Making, emitted
from opengenome_assets.framework.summaries import Step, pinned
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.proteins import assignment, mutation_status, novel_substitutions
from opengenome_assets.proteins.alignment import Alignment
from opengenome_assets.proteins.assignment import Assignment, Frame
from opengenome_assets.proteins.calls import known_changes, places_of
from opengenome_assets.proteins.catalogue import DNA, PROTEIN, Mutation
from opengenome_assets.proteins.nucleotides import Copy, alignment_in
from opengenome_assets.proteins.settings import Level, ProteinsSettings, level_of
from opengenome_assets.proteins.tables import (
    ASSIGNED_PROTEINS,
    CODING_SEQUENCES,
    DISRUPTIONS,
    DISTINCT_PROTEINS,
    KNOWN_MUTATIONS,
    MUTATION_CALLS,
    MUTATION_STATUS,
    NOVEL_SUBSTITUTIONS,
    NUCLEOTIDE_ALIGNMENTS,
    PROTEIN_FILES,
    SUBSTITUTIONS,
)
from opengenome_assets.storage.tables import Home

READS = (
    PROTEIN_FILES,
    *assignment.READS,
    DISTINCT_PROTEINS,
    SUBSTITUTIONS,
    NUCLEOTIDE_ALIGNMENTS,
    CODING_SEQUENCES,
    DISRUPTIONS,
)
OUTPUTS = (ASSIGNED_PROTEINS, MUTATION_CALLS, MUTATION_STATUS, NOVEL_SUBSTITUTIONS)


def define(settings: ProteinsSettings) -> list[Member]:
    """Return the tables and their rules."""
    return [
        calls_asset(settings.levels),
        mutation_status.each_gene_once,
        calls_are_shown_by_the_alignment,
        organisms_are_their_own,
        headers_name_the_gene,
    ]


def calls_asset(levels: Sequence[Level]) -> dg.AssetsDefinition:
    """Return the asset that makes the four tables, with these levels."""

    @dg.multi_asset(
        pool=HOME_POOL, name=MUTATION_CALLS.name, can_subset=True, specs=[asset_spec(spec, READS) for spec in OUTPUTS]
    )
    def mutation_calls(
        context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
        making = Making(context, __name__)
        step = Step(home, pinned(home, READS), log=context.log)
        found = Caller(step, levels).tables()
        outcomes = Counter(found[MUTATION_STATUS.name]["outcome"].to_pylist())
        facts = {
            "calls": found[MUTATION_CALLS.name].num_rows,
            "assigned": found[ASSIGNED_PROTEINS.name].num_rows,
            "novel": found[NOVEL_SUBSTITUTIONS.name].num_rows,
            "outcomes": dict(outcomes),
        }
        for spec in OUTPUTS:
            settings = {"levels": [list(level) for level in levels]}
            provenance = making.recorded(step.provenance(spec.name, spec.code_version, settings))
            commit = home.table(spec).write(found[spec.name], provenance)
            yield emitted(context, home, making.result(spec, commit, provenance, facts))

    return mutation_calls


class Caller:
    """Calls of all accessions from the tables.

    Parameters
    ----------
    step
        The tables.
    levels
        The levels.
    """

    def __init__(self, step: Step, levels: Sequence[Level]) -> None:
        self.step, self.levels = step, levels
        self.assignment = Assignment(step, levels)
        self.wild = {
            each.accession: each.sequence
            for entries in self.assignment.entries.values()
            for each in entries.catalogue.references
        }

    def tables(self) -> dict[str, pa.Table]:
        """Return the rows of the four tables."""
        import pandas as pd

        assigned = self.assignment.assigned()
        changes = self._changes(assigned)
        numbers = changes.groupby(["protein_sha256", "reference"]).size()
        pairs = pd.MultiIndex.from_frame(assigned[["protein_sha256", "reference"]])
        assigned["changes"] = numbers.reindex(pairs).fillna(0).astype("int32").to_numpy()
        calls = self._calls(assigned, changes)
        disruptions = self.step[DISRUPTIONS].read().to_pylist()
        self._broken(assigned, calls, disruptions)
        assigned["calls"] = [len(calls.get(place, ())) for place in range(len(assigned))]
        copies = self._copies()
        rows = [*self._protein_rows(assigned, calls), *self._dna_rows(copies)]
        contigs = {
            row["accession"]
            for row in self.step[PROTEIN_FILES].read(["accession", "kind"]).to_pylist()
            if row["kind"] == "contigs"
        }
        status = mutation_status.rows(self.assignment, assigned, calls, copies, disruptions, contigs)
        novel = novel_substitutions.rows(self.assignment, assigned, changes)
        return {
            ASSIGNED_PROTEINS.name: _table(ASSIGNED_PROTEINS, assigned.to_dict("records")),
            MUTATION_CALLS.name: _table(MUTATION_CALLS, rows),
            MUTATION_STATUS.name: _table(MUTATION_STATUS, status),
            NOVEL_SUBSTITUTIONS.name: _table(NOVEL_SUBSTITUTIONS, novel),
        }

    def _changes(self, assigned: Frame) -> Frame:
        """Return the changes of the assigned pairs."""
        columns = ["protein_sha256", "reference", "position", "ref_aa", "alt_aa", "kind", "short", "hgvs"]
        table = self.step[SUBSTITUTIONS].read(columns)
        wanted = pa.array(assigned["protein_sha256"].unique(), pa.string())
        frame = table.filter(pc.is_in(table["protein_sha256"], wanted)).to_pandas()
        pairs = assigned[["protein_sha256", "reference"]].drop_duplicates()
        return frame.merge(pairs, on=["protein_sha256", "reference"])

    def _calls(self, assigned: Frame, changes: Frame) -> dict[int, list[tuple[Mutation, str]]]:
        """Return the calls of each row of the assigned proteins, with the evidence."""
        import pandas as pd

        found: dict[int, list[tuple[Mutation, str]]] = defaultdict(list)
        shown = changes[changes["kind"] == "substitution"]
        known_of = self.assignment.entries[PROTEIN]
        lines = {entry.line: entry for entry in known_of.catalogue.mutations}
        for organism, own in assigned[assigned["near"]].groupby("organism"):
            if not organism and not known_of.any:
                continue
            entries = known_of.of(organism)
            single = [
                (entry.reference.accession, entry.position, entry.ref, entry.alt, entry.line)
                for listed in entries.values()
                for entry in listed
                if entry.kind == "substitution"
            ]
            keys = ["reference", "position", "ref_aa", "alt_aa"]
            known = pd.DataFrame(single, columns=[*keys, "line"]).astype({"position": "int32"})
            hits = shown.merge(known, on=keys)
            pairs = own[["protein_sha256", "reference"]].assign(row=own.index)
            for row, line in pairs.merge(hits, on=["protein_sha256", "reference"])[["row", "line"]].itertuples(
                index=False
            ):
                found[row].append((lines[line], "residue"))
            self._others(own, entries, found)
        return found

    def _others(self, own: Frame, entries: Mapping[str, Sequence[Mutation]], found: Any) -> None:
        """Add the calls of entries that are not single substitutions: they need the sequence."""
        others = {name: [entry for entry in listed if entry.kind != "substitution"] for name, listed in entries.items()}
        others = {name: listed for name, listed in others.items() if listed}
        whole = (own["changes"] == 0) & (own["query_end"] == own["query_length"])
        whole &= own["reference_end"] == own["reference_length"]
        rows = own[own["reference"].isin(others) & ~whole]
        if rows.empty:
            return
        sequences = self._sequences(rows["protein_sha256"].unique().tolist())
        known: dict[tuple[str, str, bool], Any] = {}
        for row in rows.itertuples():
            complete = row.partial_3 is not True
            key = row.protein_sha256, row.reference, complete
            if key not in known:
                alignment = self._alignment(row, sequences[row.protein_sha256])
                known[key] = known_changes(alignment, others[row.reference], complete=complete)
            found[row.Index] += [(call.mutation, call.evidence) for call in known[key]]

    def _alignment(self, row: Any, sequence: str) -> Alignment:
        ends = row.query_start - 1, row.query_end, row.reference_start - 1, row.reference_end
        return Alignment(sequence, self.wild[row.reference], row.score, row.cigar, *ends, "")

    def _sequences(self, wanted: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        checksums = pa.array(wanted, pa.string())
        for rows in self.step[DISTINCT_PROTEINS].row_groups(["protein_sha256", "sequence"]):
            rows = rows.filter(pc.is_in(rows["protein_sha256"], checksums))
            found.update(zip(*(column.to_pylist() for column in rows.columns), strict=True))
        return found

    def _broken(
        self,
        assigned: Frame,
        calls: dict[int, list[tuple[Mutation, str]]],
        disruptions: Sequence[Mapping[str, Any]],
    ) -> None:
        """Add entries of frameshifts and stops that no protein shows, but the DNA does: gene finders part such a gene.

        The call is that of the first protein of the place.
        """
        known = self.assignment.entries[PROTEIN]
        if not disruptions:
            return
        places = assigned[assigned["near"] & (assigned["method"] != "file")].groupby(["accession", "file", "contig"])
        by_place = dict(iter(places))
        for row in disruptions:
            entries = known.of(self.assignment.organism[row["accession"]]).get(row["reference"], [])
            named = [entry for entry in entries if entry.hgvs == row["name"]]
            own = by_place.get((row["accession"], row["file"], row["contig"]))
            if not named or own is None:
                continue
            own = own[(own["reference"] == row["reference"]) & (own["strand"] == row["strand"])]
            own = own[(own["start"] <= row["end"]) & (own["end"] >= row["start"])]
            there = {entry for place in own.index for entry, _ in calls.get(place, ())}
            if not own.empty:
                calls[own.index[0]] += [(entry, "disruption") for entry in named if entry not in there]

    def _copies(self) -> list[Copy]:
        """Return the copies of each accession's genes of DNA, with calls, by place.

        Where copies of several references of a gene overlap, they are one, of the reference with the highest score.
        """
        known = self.assignment.entries[DNA]
        copies = []
        table = self.step[NUCLEOTIDE_ALIGNMENTS].read()
        for row in table.sort_by([(name, "ascending") for name in NUCLEOTIDE_ALIGNMENTS.key]).to_pylist():
            organism = self.assignment.organism[row["accession"]]
            entries = known.of(organism).get(row["reference"], []) if organism or known.any else []
            if not entries:
                continue
            copy = Copy(row, alignment_in(row, self.wild[row["reference"]]))
            if copy.near:
                found = known_changes(copy.alignment, entries)
                copy.calls += [(call.mutation, _DNA_EVIDENCE[call.evidence]) for call in found]
            copies.append(copy)
        kept: dict[tuple[str, ...], list[Copy]] = defaultdict(list)
        for copy in sorted(copies, key=lambda copy: -copy.row["score"]):
            row = copy.row
            gene = known.of(self.assignment.organism[row["accession"]])[row["reference"]][0].reference.gene
            place = kept[row["accession"], row["file"], row["contig"], gene]
            if not any(row["start"] <= each.row["end"] and each.row["start"] <= row["end"] for each in place):
                place.append(copy)
        chosen = {id(copy) for place in kept.values() for copy in place}
        return [copy for copy in copies if id(copy) in chosen]

    @cached_property
    def _files(self) -> dict[tuple[str, str], str]:
        rows = self.step[PROTEIN_FILES].read(["accession", "path", "sha256"]).to_pylist()
        return {(row["accession"], row["path"]): row["sha256"] for row in rows}

    def _row(self, accession: str, file: str, entry: Mutation, evidence: str) -> dict[str, Any]:
        """Return the columns of a call that are those of its entry and its file."""
        return {
            "accession": accession,
            "organism": self.assignment.organism[accession],
            "file": file,
            "molecule": entry.reference.molecule,
            "gene": entry.reference.gene,
            "symbol": entry.symbol,
            "short": entry.short,
            "hgvs": entry.hgvs,
            "kind": entry.kind,
            "position": entry.position,
            "numbering": entry.numbering,
            "ref_aa": entry.ref,
            "alt_aa": entry.alt,
            "drug_class": entry.drug_class,
            "drug": entry.drug,
            "evidence": evidence,
            "reference": entry.reference.accession,
            "file_sha256": self._files[accession, file],
            "catalogue_version": self.assignment.entries[entry.reference.molecule].catalogue.version,
        }

    def _protein_rows(self, assigned: Frame, calls: Mapping[int, Any]) -> Iterator[dict[str, Any]]:
        """Yield a row for each call in a protein, with its bases if the gene was found in contigs."""
        called = assigned[assigned["calls"] > 0]
        genes = called[called["method"] != "file"]
        bases = self._bases(genes)
        sequences = self._sequences(genes["protein_sha256"].unique().tolist())
        for row in called.itertuples():
            gene = bases.get((row.accession, row.file, row.protein_id))
            places = places_of(self._alignment(row, sequences[row.protein_sha256])) if gene else {}
            for entry, evidence in sorted(calls[row.Index], key=lambda call: (call[0].position, call[0].line)):
                yield {
                    **self._row(row.accession, row.file, entry, evidence),
                    **{name: getattr(row, name) for name in ("protein_id", "level", "identity", "coverage_reference")},
                    "protein_sha256": row.protein_sha256,
                    "reference_window": f"{row.reference_start}-{row.reference_end}",
                    "query_window": f"{row.query_start}-{row.query_end}",
                    "contig": "",
                    "nucleotide_change": "",
                    **(_in_gene(gene, entry, evidence, places, row.query_length) if gene else {}),
                }

    def _bases(self, genes: Frame) -> dict[tuple[str, str, str], dict[str, Any]]:
        """Return the rows of coding_sequences of some genes."""
        wanted = set(zip(genes["accession"], genes["file"], genes["protein_id"], strict=True))
        names = pa.array(genes["protein_id"].unique(), pa.string())
        found = {}
        for rows in self.step[CODING_SEQUENCES].row_groups(CODING_SEQUENCES.schema.names) if wanted else ():
            for row in rows.filter(pc.is_in(rows["protein_id"], names)).to_pylist():
                if (key := (row["accession"], row["file"], row["protein_id"])) in wanted:
                    found[key] = row
        return found

    def _dna_rows(self, copies: Sequence[Copy]) -> Iterator[dict[str, Any]]:
        """Yield a row for each call in a copy of a reference of DNA."""
        for copy in copies:
            row, found = copy.row, copy.alignment
            places = places_of(found) if copy.calls else {}
            level = level_of(
                self.levels, row["identity"], row["coverage_reference"], row["score"] / row["reference_length"]
            )
            for entry, evidence in copy.calls:
                first, last = _span(places, *_letters(entry, evidence))
                yield {
                    **self._row(row["accession"], row["file"], entry, evidence),
                    "protein_id": copy.name,
                    "level": level,
                    **{name: row[name] for name in ("identity", "coverage_reference", "contig", "strand")},
                    "protein_sha256": "",
                    "reference_window": f"{row['reference_start']}-{row['reference_end']}",
                    "query_window": f"{row['start']}-{row['end']}",
                    **_on_contig(row, first, last),
                    "nucleotide_change": entry.hgvs,
                }


_DNA_EVIDENCE = {"residue": "nucleotide", "haplotype": "haplotype"}


def _span(places: Mapping[int, int], start: int, length: int) -> tuple[int, int]:
    """Return the part of a query that stands for letters of its reference, 0-based, half-open.

    It lies between the letters paired before and after them: empty for a deletion. At an alignment's end it is that of
    the letters themselves.
    """
    before, after = places.get(start - 1), places.get(start + length)
    own = [places[place] for place in range(start, start + length) if place in places]
    first = before + 1 if before is not None else own[0] if own else after or 0
    last = after if after is not None else own[-1] + 1 if own else first
    return first, last


def _letters(entry: Mutation, evidence: str) -> tuple[int, int]:
    """Return the letters of the reference that an entry changes: the first, 0-based, and their number.

    They are those of its changes, where the alignment shows these; an insertion changes none.
    """
    if evidence == "haplotype":
        return entry.position - 1, len(entry.ref)
    first = min(change.position - (1 if change.ref else 0) for change in entry.changes)
    return first, max(change.position - (1 if change.ref else 0) + len(change.ref) for change in entry.changes) - first


def _on_contig(row: Mapping[str, Any], first: int, last: int) -> dict[str, int]:
    """Return where bases of a gene or copy stand on its contig, from 1; of none, the two beside them."""
    if first == last:
        first, last = first - 1, last + 1
    if row["strand"] == 1:
        return {"contig_start": row["start"] + first, "contig_end": row["start"] + last - 1}
    return {"contig_start": row["end"] - last + 1, "contig_end": row["end"] - first}


def _in_gene(
    gene: Mapping[str, Any], entry: Mutation, evidence: str, places: Mapping[int, int], length: int
) -> dict[str, Any]:
    """Return contig, place and codons of a call in a gene of contigs.

    The name counts bases as the reference's codons: three a letter, from its first. Which codons the wild type has
    there is not known, since the reference is a protein.
    """
    named = {"contig": gene["contig"], "strand": gene["strand"]}
    if evidence == "disruption":
        return named
    start, letters = _letters(entry, evidence)
    if evidence == "protein_end":
        first, last = (length, length + 1) if entry.stop_after is None else (places[start - 1] + 1, length + 1)
    else:
        first, last = _span(places, start, letters)
    named |= _on_contig(gene, 3 * first, 3 * last)
    if entry.stop_after is not None:
        return named  # bases of the gene after it are read in another frame: no codons take the place of others
    bases = gene["sequence"][3 * first : 3 * last]
    if not letters:
        return named | {"nucleotide_change": f"c.{3 * start}_{3 * start + 1}ins{bases}"}
    span = f"c.{3 * start + 1}_{3 * (start + letters)}"
    return named | {"nucleotide_change": f"{span}delins{bases}" if bases else f"{span}del"}


def _table(spec: TableSpec, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    names = spec.schema.names
    return pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows], schema=spec.schema)


@rule(MUTATION_CALLS, "Each call by residues or nucleotides has its changes among those of the alignment")
def calls_are_shown_by_the_alignment(home: Home) -> Iterator[str]:
    """Look for every change of a call."""
    forms = home.table(KNOWN_MUTATIONS).read(["reference", "symbol", "position", "ref_aa", "alt_aa", "normal_form"])
    by_entry = {tuple(row.values())[:5]: row["normal_form"].split(";") for row in forms.to_pylist()}
    columns = ["protein_sha256", "reference", "short"]
    shown = set(zip(*home.table(SUBSTITUTIONS).read(columns).to_pydict().values(), strict=True))
    copies = {
        (row["accession"], row["file"], f"{row['contig']}:{row['start']}-{row['end']}", row["reference"]): row
        for row in home.table(NUCLEOTIDE_ALIGNMENTS).read().to_pylist()
    }
    for row in home.table(MUTATION_CALLS).read().to_pylist():
        names = by_entry.get(tuple(row[name] for name in ("reference", "symbol", "position", "ref_aa", "alt_aa")))
        where = f"{row['accession']}, {row['protein_id']}, {row['symbol']}"
        if names is None:
            yield f"{where}: the catalogue has no such entry"
        elif row["evidence"] == "residue":
            for name in names:
                if (row["protein_sha256"], row["reference"], name) not in shown:
                    yield f"{where}: the alignment does not show {name}"
        elif row["molecule"] == DNA:
            copy = copies.get(tuple(row[name] for name in ("accession", "file", "protein_id", "reference")))
            letter = row["position"] - (copy or row)["reference_start"] if copy else 0
            plain = copy and set(copy["cigar"]) <= {*"0123456789=X"} and len(row["ref_aa"]) == len(row["alt_aa"])
            if not copy or (plain and copy["sequence"][letter : letter + len(row["alt_aa"])] != row["alt_aa"]):
                yield f"{where}: no copy in the contigs shows it"


@rule(MUTATION_CALLS, "No call is by an entry of another organism")
def organisms_are_their_own(home: Home) -> Iterator[str]:
    """Compare the organism of each call with those of its entry."""
    columns = ["reference", "symbol", "organism"]
    known = set(zip(*home.table(KNOWN_MUTATIONS).read(columns).to_pydict().values(), strict=True))
    for row in home.table(MUTATION_CALLS).read(["accession", *columns]).to_pylist():
        pair = row["reference"], row["symbol"]
        if (*pair, row["organism"]) not in known and (*pair, "") not in known:
            yield f"{row['accession']}, {row['symbol']}: no entry of {row['organism'] or 'an unknown organism'}"


@rule(ASSIGNED_PROTEINS, "Headers name the gene of the reference", blocking=False)
def headers_name_the_gene(home: Home) -> Iterator[str]:
    """Name the proteins whose header states another gene."""
    for row in home.table(ASSIGNED_PROTEINS).read(["accession", "protein_id", "gene_hint", "gene"]).to_pylist():
        if row["gene_hint"] and row["gene_hint"].lower() != row["gene"].lower():
            where = f"{row['accession']}, {row['protein_id']}"
            yield f"{where}: the header says {row['gene_hint']}, the sequence {row['gene']}"
