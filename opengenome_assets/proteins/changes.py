"""Differences of a protein from its reference, in a normal form and in the notations that people write.

Belongs here: what a CIGAR says as changes, the normal form, and HGVS names. Does not belong here: which changes are
known (`opengenome_assets.proteins.catalogue`).
"""

import re
from dataclasses import dataclass

from Bio.SeqUtils import seq3

# Letters that stand for several amino acids, or that substitution matrices do not know: never a substitution.
AMBIGUOUS = frozenset("BZXJUO")


@dataclass(frozen=True, order=True)
class Change:
    """One change of the reference.

    Attributes
    ----------
    position : int
        1-based, on the reference: of the first letter replaced or deleted. Of an insertion, the letter before it; 0
        if it precedes the first.
    ref, alt : str
        Letters of the reference and of the protein. One of them is empty for an insertion or deletion; ``alt`` is
        ``*`` where the protein ends early.
    """

    position: int
    ref: str
    alt: str

    @property
    def kind(self) -> str:
        """substitution, stop, insertion, deletion or indel."""
        if self.alt == "*":
            return "stop"
        if not self.ref:
            return "insertion"
        if not self.alt:
            return "deletion"
        return "substitution" if len(self.ref) == len(self.alt) == 1 else "indel"

    def short(self) -> str:
        """As S83L: ``ref``, position, ``alt``; del and ins as AMRFinderPlus writes them."""
        return f"{self.ref or 'ins'}{self.position}{self.alt or 'del'}"

    def hgvs(self, reference: str) -> str:
        """HGVS name, such as p.Ser83Leu, p.Lys141Ter, p.Trp65_Arg66del, p.Thr9_Ala10insGly.

        An insertion or deletion is named as far right as it can stand, by HGVS' 3' rule. Duplications are named as
        insertions.
        """
        position, ref, alt = self.position, self.ref, self.alt
        if alt == "*":
            return f"p.{three(ref[0])}{position}Ter"
        if ref and alt:
            last = f"_{three(ref[-1])}{position + len(ref) - 1}" if len(ref) > 1 else ""
            between = "" if len(ref) == len(alt) == 1 else "delins"
            return f"p.{three(ref[0])}{position}{last}{between}{three(alt)}"
        moved = ref or alt
        after = position + len(ref) - (1 if ref else 0)  # 0-based place of the letter that follows
        while after < len(reference) and reference[after] == moved[0]:
            moved = moved[1:] + moved[0]
            position, after = position + 1, after + 1
        if ref:
            last = f"_{three(moved[-1])}{position + len(moved) - 1}" if len(moved) > 1 else ""
            return f"p.{three(moved[0])}{position}{last}del"
        before = f"{three(reference[position - 1])}{position}" if position else "Met1"
        following = f"_{three(reference[position])}{position + 1}" if 0 < position < len(reference) else ""
        return f"p.{before}{following}{'ins' if position else 'ext'}{three(moved)}"


def normal_form(reference: str, position: int, ref: str, alt: str) -> tuple[Change, ...]:
    """Changes of one allele, without letters that both have, insertions and deletions as far left as they can stand.

    Replacements of equally many letters become their single substitutions.

    Parameters
    ----------
    reference : str
        The whole protein.
    position : int
        1-based, of the first letter of ``ref``.
    ref, alt : str
        Letters of the reference there, and what stands in their place.
    """
    if len(ref) == len(alt):
        return tuple(
            Change(position + place, old, new)
            for place, (old, new) in enumerate(zip(ref, alt, strict=True))
            if old != new
        )
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        ref, alt, position = ref[1:], alt[1:], position + 1
    if ref and alt:
        return (Change(position, ref, alt),)
    moved, before = ref or alt, position - 1
    while before > 0 and reference[before - 1] == moved[-1]:
        moved, before = moved[-1] + moved[:-1], before - 1
    return (Change(before + 1, moved, "") if ref else Change(before, "", moved),)


def changes_of(reference: str, query: str, cigar: str, reference_start: int, query_start: int) -> tuple[Change, ...]:
    """Changes that an alignment shows, ascending by position.

    Neighbouring insertions and deletions are one allele. A substitution by an ambiguous letter is none. Starts are
    0-based.
    """
    found: list[Change] = []
    i, j = reference_start, query_start
    gap_i, gap_j = i, j
    for length, operation in [*re.findall(r"(\d+)([=XID])", cigar), ("0", "=")]:
        if operation in "=X":
            if gap_i < i or gap_j < j:
                found += normal_form(reference, gap_i + 1, reference[gap_i:i], query[gap_j:j])
            if operation == "X":
                pairs = zip(reference[i : i + int(length)], query[j : j + int(length)], strict=True)
                found += [
                    Change(i + place + 1, old, new)
                    for place, (old, new) in enumerate(pairs)
                    if old != new and not {old, new} & AMBIGUOUS
                ]
            i, j = i + int(length), j + int(length)
            gap_i, gap_j = i, j
        elif operation == "I":
            j += int(length)
        else:
            i += int(length)
    return tuple(sorted(found))


def apply(reference: str, changes: tuple[Change, ...]) -> str:
    """The reference with the changes put in."""
    for change in sorted(changes, reverse=True):
        start = change.position - (1 if change.ref else 0)
        if change.alt == "*":
            reference = reference[:start]
            continue
        if reference[start : start + len(change.ref)] != change.ref:
            raise ValueError(f"The reference has no {change.ref} at {change.position}.")
        reference = reference[:start] + change.alt + reference[start + len(change.ref) :]
    return reference


def nucleotide_name(change: Change, reference: str) -> str:
    """HGVS name of a change of DNA on its reference: n.2058A>T, n.198del, n.39_40insG, n.12_14delinsTT.

    An insertion or deletion is named as far right as it can stand, by HGVS' 3' rule. Duplications are named as
    insertions.
    """
    position, ref, alt = change.position, change.ref, change.alt
    if len(ref) == len(alt) == 1:
        return f"n.{position}{ref}>{alt}"
    if not (ref and alt):
        moved, after = ref or alt, position + len(ref) - (1 if ref else 0)
        while after < len(reference) and reference[after] == moved[0]:
            moved, position, after = moved[1:] + moved[0], position + 1, after + 1
        if not ref:
            return f"n.{position}_{position + 1}ins{moved}"
        ref = moved
    last = f"_{position + len(ref) - 1}" if len(ref) > 1 else ""
    return f"n.{position}{last}{f'delins{alt}' if alt else 'del'}"


def three(letters: str) -> str:
    """Letters of a protein as HGVS writes them: SerLeu, Ter for *."""
    return str(seq3(letters))  # type: ignore[no-untyped-call]
