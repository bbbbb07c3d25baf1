"""novel_substitutions: substitutions at known sites to an amino acid that the catalogue does not name.

Belongs here: the rows of the table. Does not belong here: calls (``mutation_calls.py``), which commits it.
"""

from collections import defaultdict
from typing import Any

from opengenome_assets import words
from opengenome_assets.proteins.assignment import Assignment, Frame
from opengenome_assets.proteins.catalogue import PROTEIN, Mutation

_SHOWN = 8


def rows(assignment: Assignment, assigned: Frame, changes: Frame) -> list[dict[str, Any]]:
    """Return substitutions at known sites to another amino acid than those of the catalogue."""
    found, known_of = [], assignment.entries[PROTEIN]
    shown = changes[changes["kind"] == "substitution"]
    for organism, own in assigned[assigned["near"]].groupby("organism"):
        if not organism and not known_of.any:
            continue
        sites: dict[tuple[str, int], list[Mutation]] = defaultdict(list)
        for listed in known_of.of(organism).values():
            for entry in listed:
                for change in entry.changes:
                    if change.kind in ("substitution", "stop") and entry.stop_after is None:
                        sites[entry.reference.accession, change.position].append(entry)
        joined = own.drop(columns=["changes"]).merge(shown, on=["protein_sha256", "reference"])
        for row in joined.to_dict("records"):
            known = sites.get((row["reference"], row["position"]), [])
            letters = {change.alt for entry in known for change in entry.changes if change.position == row["position"]}
            if known and row["alt_aa"] not in letters:
                row["known"] = words.listing(list(dict.fromkeys(entry.symbol for entry in known)), _SHOWN)
                row["drug_class"] = ", ".join(sorted({entry.drug_class for entry in known if entry.drug_class}))
                found.append(row)
    return found
