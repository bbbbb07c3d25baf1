"""The reference of each protein: of those of its organism, the one to which it aligns best.

Belongs here: which entries of the catalogue count in an accession, and the choice of the reference with its level. Does
not belong here: alignments, and what the catalogue's entries say of a protein (``mutation_calls.py``).
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from opengenome_assets.framework.summaries import Step
from opengenome_assets.proteins.catalogue import DNA, PROTEIN, Catalogue, Mutation
from opengenome_assets.proteins.files import organism_in
from opengenome_assets.proteins.passes.align import IDENTITY
from opengenome_assets.proteins.settings import Level, level_of
from opengenome_assets.proteins.tables import (
    ACCESSIONS,
    ALIGNMENTS,
    KNOWN_MUTATIONS,
    PROTEINS,
    WILD_TYPES,
)
from opengenome_assets.proteins.wild_types import catalogue_of

READS = (ACCESSIONS, PROTEINS, WILD_TYPES, KNOWN_MUTATIONS, ALIGNMENTS)
Frame = Any  # a data frame; the stubs of pandas give each cell the type of every scalar


class Entries:
    """The entries of a catalogue by organism and reference.

    Attributes
    ----------
    any
        Whether some are of no organism, and so of every one.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.any = any(not entry.organism for entry in catalogue.mutations)
        self._of: dict[str, dict[str, list[Mutation]]] = {}

    def of(self, organism: str) -> dict[str, list[Mutation]]:
        """Return the entries of an organism by reference, with those of any organism."""
        if organism not in self._of:
            found: dict[str, list[Mutation]] = defaultdict(list)
            for entry in self.catalogue.mutations:
                if entry.organism in (organism, ""):
                    found[entry.reference.accession].append(entry)
            self._of[organism] = dict(found)
        return self._of[organism]


class Assignment:
    """Accessions with their organisms, and proteins with their references.

    Parameters
    ----------
    step
        The tables `READS`.
    levels
        The levels.
    """

    def __init__(self, step: Step, levels: Sequence[Level]) -> None:
        self.step, self.levels = step, levels
        tables = step[WILD_TYPES].read(), step[KNOWN_MUTATIONS].read()
        self.entries = {molecule: Entries(catalogue_of(*tables, molecule)) for molecule in (PROTEIN, DNA)}
        self.given = step[ACCESSIONS].read().to_pandas()
        known = tuple(
            sorted({organism for entries in self.entries.values() for organism in entries.catalogue.organisms})
        )
        self.organism = {row.accession: organism_in(row.organism, known) or "" for row in self.given.itertuples()}

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue of proteins."""
        return self.entries[PROTEIN].catalogue

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
        import pandas as pd

        columns = ["accession", "file", "protein_id", "gene", "partial_5", "partial_3", "protein_sha256"]
        places = ["contig", "start", "end", "strand", "method"]
        proteins = self.step[PROTEINS].read([*columns, *places])
        wanted = pa.array(self.alignments["protein_sha256"].unique(), pa.string())
        frame = proteins.filter(pc.is_in(proteins["protein_sha256"], wanted)).to_pandas()
        frame = frame.rename(columns={"gene": "gene_hint"})
        frame["organism"] = frame["accession"].map(self.organism)
        found, entries = [], self.entries[PROTEIN]
        for organism, own in frame.groupby("organism"):
            references = None if not organism and not entries.any else set(entries.of(organism))
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
