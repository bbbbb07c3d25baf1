"""mutation_calls, mutation_status, novel_substitutions and assigned_proteins: what alignments say of each accession.

Belongs here: the choice of each protein's reference, calls, status, the commit, and the rules of the four tables. Does
not belong here: alignments, and what counts as evidence (``calls.py``).

Nothing is aligned here: a new catalogue with unchanged references takes only this.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from opengenome_assets import words
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import Making, emitted
from opengenome_assets.framework.summaries import Step, pinned
from opengenome_assets.proteins.alignment import Alignment
from opengenome_assets.proteins.calls import known_changes
from opengenome_assets.proteins.catalogue import Mutation
from opengenome_assets.proteins.changes import three
from opengenome_assets.proteins.files import organism_in
from opengenome_assets.proteins.passes.align import IDENTITY
from opengenome_assets.proteins.settings import Level, ProteinsSettings, level_of
from opengenome_assets.proteins.tables import (
    ACCESSIONS,
    ALIGNMENTS,
    ASSIGNED_PROTEINS,
    DISTINCT_PROTEINS,
    KNOWN_MUTATIONS,
    MUTATION_CALLS,
    MUTATION_STATUS,
    NOVEL_SUBSTITUTIONS,
    PROTEIN_FILES,
    PROTEINS,
    SUBSTITUTIONS,
    WILD_TYPES,
)
from opengenome_assets.proteins.wild_types import catalogue_of
from opengenome_assets.storage.tables import Home

READS = (
    PROTEIN_FILES,
    ACCESSIONS,
    PROTEINS,
    DISTINCT_PROTEINS,
    WILD_TYPES,
    KNOWN_MUTATIONS,
    ALIGNMENTS,
    SUBSTITUTIONS,
)
OUTPUTS = (ASSIGNED_PROTEINS, MUTATION_CALLS, MUTATION_STATUS, NOVEL_SUBSTITUTIONS)
_SHOWN = 8
Frame = Any  # a data frame; the stubs of pandas give each cell the type of every scalar


def define(settings: ProteinsSettings) -> list[Member]:
    """Return the tables and their rules."""
    return [
        calls_asset(settings.levels),
        each_gene_once,
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


def names_of(entry: Mutation) -> tuple[str, str]:
    """Return an entry as S83L, and by HGVS, both on its reference.

    Examples of the second: p.Ser83Leu, p.Lys141Ter, p.Tyr253CysfsTer5, p.[Ser83Leu;Ser84Ala].
    """
    if entry.stop_after is not None:
        hgvs = f"p.{three(entry.ref[0])}{entry.position}{three(entry.alt)}fsTer{entry.stop_after}"
        return f"{entry.ref}{entry.position}{entry.alt}fsTer{entry.stop_after}", hgvs
    names = [change.hgvs(entry.reference.sequence) for change in entry.changes]
    joined = names[0] if len(names) == 1 else f"p.[{';'.join(name.removeprefix('p.') for name in names)}]"
    return f"{entry.ref}{entry.position}{entry.alt or 'del'}", joined


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
        self.catalogue = catalogue_of(step[WILD_TYPES].read(), step[KNOWN_MUTATIONS].read())
        self.given = step[ACCESSIONS].read().to_pandas()
        known = self.catalogue.organisms
        self.organism = {row.accession: organism_in(row.organism, known) or "" for row in self.given.itertuples()}
        self.entries: dict[str, dict[str, list[Mutation]]] = {}
        self.any = any(not entry.organism for entry in self.catalogue.mutations)

    def entries_of(self, organism: str) -> dict[str, list[Mutation]]:
        """Return the entries of an organism by reference, with those of any organism."""
        if organism not in self.entries:
            found: dict[str, list[Mutation]] = defaultdict(list)
            for entry in self.catalogue.mutations:
                if entry.organism in (organism, ""):
                    found[entry.reference.accession].append(entry)
            self.entries[organism] = dict(found)
        return self.entries[organism]

    @cached_property
    def alignments(self) -> Frame:
        """The alignments, best first: by score, then in the catalogue's order."""
        columns = [name for name in ALIGNMENTS.schema.names if name not in ("similarity", "proof", "shared_kmers")]
        frame = self.step[ALIGNMENTS].read(columns).to_pandas()
        order = {each.accession: place for place, each in enumerate(self.catalogue.references)}
        frame["order"] = frame["reference"].map(order)
        frame = frame[frame["order"].notna()]
        return frame.sort_values(["score", "order"], ascending=[False, True], kind="stable")

    def assigned(self) -> Frame:
        """Return each protein that has a reference, with the alignment to it."""
        columns = ["accession", "file", "protein_id", "gene", "partial_5", "partial_3", "protein_sha256"]
        proteins = self.step[PROTEINS].read(columns)
        wanted = pa.array(self.alignments["protein_sha256"].unique(), pa.string())
        frame = proteins.filter(pc.is_in(proteins["protein_sha256"], wanted)).to_pandas()
        frame = frame.rename(columns={"gene": "gene_hint"})
        frame["organism"] = frame["accession"].map(self.organism)
        found = []
        for organism, own in frame.groupby("organism"):
            references = None if not organism and not self.any else set(self.entries_of(organism))
            pairs = self.alignments
            if references is not None:
                pairs = pairs[pairs["reference"].isin(references)]
            found.append(own.merge(pairs.drop_duplicates("protein_sha256"), on="protein_sha256"))
        joined = pd.concat(found) if found else frame.merge(self.alignments, on="protein_sha256")
        genes = {each.accession: each.gene for each in self.catalogue.references}
        joined["gene"] = joined["reference"].map(genes)
        per_letter = joined["score"] / joined[["query_length", "reference_length"]].max(axis=1)
        coverage = joined[["coverage_query", "coverage_reference"]].min(axis=1)
        measures = zip(joined["identity"], coverage, per_letter, strict=True)
        joined["level"] = [level_of(self.levels, *each) for each in measures]
        joined["near"] = joined["identity"] >= IDENTITY
        return joined.sort_values(["accession", "file", "protein_id"], kind="stable").reset_index(drop=True)

    def tables(self) -> dict[str, pa.Table]:
        """Return the rows of the four tables."""
        assigned = self.assigned()
        changes = self._changes(assigned)
        numbers = changes.groupby(["protein_sha256", "reference"]).size()
        pairs = pd.MultiIndex.from_frame(assigned[["protein_sha256", "reference"]])
        assigned["changes"] = numbers.reindex(pairs).fillna(0).astype("int32").to_numpy()
        calls = self._calls(assigned, changes)
        assigned["calls"] = [len(calls.get(place, ())) for place in range(len(assigned))]
        rows = [self._call_row(row, entry, evidence) for row, entry, evidence in self._listed(assigned, calls)]
        return {
            ASSIGNED_PROTEINS.name: _table(ASSIGNED_PROTEINS, assigned.to_dict("records")),
            MUTATION_CALLS.name: _table(MUTATION_CALLS, rows),
            MUTATION_STATUS.name: _table(MUTATION_STATUS, self._status(assigned, calls)),
            NOVEL_SUBSTITUTIONS.name: _table(NOVEL_SUBSTITUTIONS, self._novel(assigned, changes)),
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
        found: dict[int, list[tuple[Mutation, str]]] = defaultdict(list)
        shown = changes[changes["kind"] == "substitution"]
        lines = {entry.line: entry for entry in self.catalogue.mutations}
        for organism, own in assigned[assigned["near"]].groupby("organism"):
            if not organism and not self.any:
                continue
            entries = self.entries_of(organism)
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
        wild = {each.accession: each.sequence for each in self.catalogue.references}
        known: dict[tuple[str, str, bool], Any] = {}
        for row in rows.itertuples():
            complete = row.partial_3 is not True
            key = row.protein_sha256, row.reference, complete
            if key not in known:
                alignment = Alignment(
                    *(sequences[row.protein_sha256], wild[row.reference], row.score, row.cigar, row.query_start - 1),
                    *(row.query_end, row.reference_start - 1, row.reference_end, ""),
                )
                known[key] = known_changes(alignment, others[row.reference], complete=complete)
            found[row.Index] += [(call.mutation, call.evidence) for call in known[key]]

    def _sequences(self, wanted: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        checksums = pa.array(wanted, pa.string())
        for rows in self.step[DISTINCT_PROTEINS].row_groups(["protein_sha256", "sequence"]):
            rows = rows.filter(pc.is_in(rows["protein_sha256"], checksums))
            found.update(zip(*(column.to_pylist() for column in rows.columns), strict=True))
        return found

    def _listed(self, assigned: Frame, calls: Mapping[int, Any]) -> Iterator[tuple[Any, Mutation, str]]:
        for row in assigned[assigned["calls"] > 0].itertuples():
            for entry, evidence in sorted(calls[row.Index], key=lambda call: (call[0].position, call[0].line)):
                yield row, entry, evidence

    @cached_property
    def _files(self) -> dict[tuple[str, str], str]:
        rows = self.step[PROTEIN_FILES].read(["accession", "path", "sha256"]).to_pylist()
        return {(row["accession"], row["path"]): row["sha256"] for row in rows}

    def _call_row(self, row: Any, entry: Mutation, evidence: str) -> dict[str, Any]:
        short, hgvs = names_of(entry)
        return {
            **{name: getattr(row, name) for name in ("accession", "organism", "file", "protein_id", "level")},
            **{name: getattr(row, name) for name in ("identity", "coverage_reference", "reference", "protein_sha256")},
            "gene": row.gene,
            "symbol": entry.symbol,
            "short": short,
            "hgvs": hgvs,
            "kind": entry.kind,
            "position": entry.position,
            "numbering": entry.numbering,
            "ref_aa": entry.ref,
            "alt_aa": entry.alt,
            "drug_class": entry.drug_class,
            "drug": entry.drug,
            "evidence": evidence,
            "reference_window": f"{row.reference_start}-{row.reference_end}",
            "query_window": f"{row.query_start}-{row.query_end}",
            "file_sha256": self._files[row.accession, row.file],
            "catalogue_version": self.catalogue.version,
        }

    def _novel(self, assigned: Frame, changes: Frame) -> list[dict[str, Any]]:
        """Return substitutions at known sites to another amino acid than those of the catalogue."""
        found = []
        shown = changes[changes["kind"] == "substitution"]
        for organism, own in assigned[assigned["near"]].groupby("organism"):
            if not organism and not self.any:
                continue
            sites: dict[tuple[str, int], list[Mutation]] = defaultdict(list)
            for listed in self.entries_of(organism).values():
                for entry in listed:
                    for change in entry.changes:
                        if change.kind in ("substitution", "stop") and entry.stop_after is None:
                            sites[entry.reference.accession, change.position].append(entry)
            joined = own.drop(columns=["changes"]).merge(shown, on=["protein_sha256", "reference"])
            for row in joined.to_dict("records"):
                known = sites.get((row["reference"], row["position"]), [])
                letters = {
                    change.alt for entry in known for change in entry.changes if change.position == row["position"]
                }
                if known and row["alt_aa"] not in letters:
                    row["known"] = words.listing(list(dict.fromkeys(entry.symbol for entry in known)), _SHOWN)
                    row["drug_class"] = ", ".join(sorted({entry.drug_class for entry in known if entry.drug_class}))
                    found.append(row)
        return found

    def _status(self, assigned: Frame, calls: Mapping[int, Any]) -> list[dict[str, Any]]:
        """Return a row for each accession and gene of its organism's catalogue."""
        by_accession = dict(iter(assigned.groupby("accession")))
        rows: list[dict[str, Any]] = []
        for given in self.given.sort_values("accession").itertuples():
            organism = self.organism[given.accession]
            own = by_accession.get(given.accession, assigned.iloc[:0])
            if not organism and not self.any:
                rows.append(self._unknown(given, own))
                continue
            genes: dict[str, dict[str, list[Mutation]]] = defaultdict(dict)
            for name, entries in self.entries_of(organism).items():
                genes[entries[0].reference.gene][name] = entries
            rows += [
                {
                    "accession": given.accession,
                    "organism": organism,
                    "gene": gene,
                    **self._gene(own[own["gene"] == gene], genes[gene], calls),
                }
                for gene in sorted(genes)
            ]
        return rows

    def _unknown(self, given: Any, own: Frame) -> dict[str, Any]:
        named = f"The catalogue has no organism {given.organism!r}" if given.organism else "No organism is named"
        owners = {each: set(self.entries_of(each)) for each in self.catalogue.organisms}
        references = own[own["near"]]["reference"]
        votes = Counter(each for name in references for each, names in owners.items() if name in names)
        close = ""
        if votes:
            likely, number = votes.most_common(1)[0]
            close = f" {words.plural(number, 'protein')} come closest to wild types of {likely}."
        return {
            "accession": given.accession,
            "organism": "",
            "gene": "",
            "examined": False,
            "outcome": "organism_unknown",
            "reason": f"{named}: name one of the catalogue's in the sample sheet.{close}",
            "calls": 0,
            "sites": 0,
            "sites_examined": 0,
            "protein_id": "",
        }

    def _gene(self, own: Frame, entries: Mapping[str, Sequence[Mutation]], calls: Mapping[int, Any]) -> dict[str, Any]:
        """Return what is known of a gene in an accession, from all its proteins."""
        if own.empty:
            first = next(iter(entries))
            sites = len(Sites.of(entries[first]).first)
            reason = f"No protein is alike to {words.listing(list(entries), 3)}."
            return _outcome("absent", reason, 0, sites, 0)
        ranked = own.sort_values(["near", "score"], ascending=False, kind="stable")
        best = ranked.iloc[0]
        wanted = Sites.of(entries[best["reference"]])
        measures = {name: best[name] for name in ("protein_id", "reference", "level", "identity", "coverage_reference")}
        if not best["near"]:
            reason = f"Its identity to {best['reference']} is {best['identity']:.2f}, below {IDENTITY:g}."
            return _outcome("diverged", reason, 0, len(wanted.first), 0) | measures
        number = 0
        seen, unclear = np.zeros(len(wanted.first), bool), np.zeros(len(wanted.first), bool)
        edge = False
        for row in ranked[ranked["near"] & (ranked["reference"] == best["reference"])].itertuples():
            inside = (wanted.first >= row.reference_start) & (wanted.last <= row.reference_end)
            open_ = np.asarray(row.ambiguous)
            hidden = np.searchsorted(open_, wanted.last, "right") > np.searchsorted(open_, wanted.first)
            seen |= inside & ~hidden
            unclear |= inside & hidden
            edge |= (row.partial_5 is True and row.query_start == 1 and row.reference_start > 1) or (
                row.partial_3 is True and row.query_end == row.query_length
            )
        found: list[Mutation] = []
        for place in own.index:
            found += [entry for entry, _ in calls.get(place, ())]
            number += len(calls.get(place, ()))
        for entry in found:
            seen |= (wanted.first == entry.position) & (wanted.last == entry.position + len(entry.ref) - 1)
        hidden_sites = [str(site) for site in wanted.first[~seen].tolist()]
        missing = f"{words.plural(len(hidden_sites), 'known site')} not seen: {words.listing(hidden_sites, _SHOWN)}."
        window = (
            f"The protein covers {best['reference_start']} to {best['reference_end']} of {best['reference_length']}."
        )
        counts = number, len(seen), int(seen.sum())
        if found:
            names = words.listing(list(dict.fromkeys(entry.symbol for entry in found)), _SHOWN)
            return _outcome("mutated", f"{names}." + (f" {missing}" if hidden_sites else ""), *counts) | measures
        if not hidden_sites:
            return _outcome("wild_type", "All known sites were seen, without a known mutation.", *counts) | measures
        if (unclear & ~seen).any():
            return _outcome("ambiguous", f"Letters such as X stand there. {missing}", *counts) | measures
        if edge:
            return (
                _outcome("edge", f"The gene runs over the edge of its contig. {window} {missing}", *counts) | measures
            )
        return _outcome("truncated", f"{window} {missing}", *counts) | measures


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


def _table(spec: Any, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    names = spec.schema.names
    return pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows], schema=spec.schema)


@rule(MUTATION_STATUS, "Each accession has each gene of its organism's catalogue once")
def each_gene_once(home: Home) -> Iterator[str]:
    """Count the genes of the catalogue again."""
    genes: dict[str, set[str]] = defaultdict(set)
    for row in home.table(KNOWN_MUTATIONS).read(["organism", "gene"]).to_pylist():
        genes[row["organism"]].add(row["gene"])
    rows = home.table(MUTATION_STATUS).read(["accession", "organism", "gene"]).to_pylist()
    found = Counter((row["accession"], row["gene"]) for row in rows)
    organisms = {row["accession"]: row["organism"] for row in rows}
    listed: dict[str, set[str]] = defaultdict(set)
    for accession, gene in found:
        listed[accession].add(gene)
    for accession in home.table(ACCESSIONS).read(["accession"])["accession"].to_pylist():
        organism = organisms.get(accession, "")
        wanted = genes[organism] | genes[""] or {""}
        for gene in sorted(wanted ^ listed[accession]):
            why = "missing" if gene in wanted else "no gene of its organism"
            yield f"{accession}: {gene or 'its one row'} is {why}"
    for (accession, gene), number in found.items():
        if number > 1:
            yield f"{accession}, {gene}: {number} rows"


@rule(MUTATION_CALLS, "Each call by residues has its substitutions among those of the alignment")
def calls_are_shown_by_the_alignment(home: Home) -> Iterator[str]:
    """Look for every substitution of a call."""
    forms = home.table(KNOWN_MUTATIONS).read(["reference", "symbol", "position", "ref_aa", "alt_aa", "normal_form"])
    by_entry = {tuple(row.values())[:5]: row["normal_form"].split(";") for row in forms.to_pylist()}
    columns = ["protein_sha256", "reference", "short"]
    shown = set(zip(*home.table(SUBSTITUTIONS).read(columns).to_pydict().values(), strict=True))
    for row in home.table(MUTATION_CALLS).read().to_pylist():
        names = by_entry.get(tuple(row[name] for name in ("reference", "symbol", "position", "ref_aa", "alt_aa")))
        where = f"{row['accession']}, {row['protein_id']}, {row['symbol']}"
        if names is None:
            yield f"{where}: the catalogue has no such entry"
        elif row["evidence"] == "residue":
            for name in names:
                if (row["protein_sha256"], row["reference"], name) not in shown:
                    yield f"{where}: the alignment does not show {name}"


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
