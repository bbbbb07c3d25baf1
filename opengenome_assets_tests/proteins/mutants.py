"""A seeded truth: mutants of the shipped catalogue's wild types, with what was done to each.

The tests, the benchmark and the figures of docs/proteins.md use the same ones. ``python -m
opengenome_assets_tests.proteins.mutants 10000`` prints the figures.
"""

import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from opengenome_assets.proteins import Catalogue, call, read_catalogue
from opengenome_assets.proteins.catalogue import Reference
from opengenome_assets.proteins.changes import Change, normal_form
from opengenome_assets_tests.kernels.proteins import AMINO_ACIDS

KINDS = ("substitution", "insertion", "deletion", "stop")


@dataclass(frozen=True)
class Mutant:
    """A protein, the reference that it was made from, and its changes in normal form; a stop is one at its end."""

    protein: str
    reference: Reference
    changes: frozenset[Change]


APART, CLOSE = 20, 7
"""Letters from a change's first to another's: changes of up to 6 letters are at least 14 apart, or only 1."""


def mutants(catalogue: Catalogue, count: int, seed: int = 1, apart: int = APART) -> list[Mutant]:
    """Mutants with 0 to 21 substitutions; of every 20 about 2 have an insertion or deletion, and 2 end early.

    A change is at least ``apart`` letters from every other, and 12 from the protein's ends. Where it would not be, it
    is left out. Changes that stand close to each other have no name that every tool would give them.
    """
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        reference = chance.choice(catalogue.references)
        wild = reference.sequence
        kinds = ["substitution"] * chance.choice([0, 1, 1, 2, 3, 5, 8, 13, 21])
        kinds += chance.choice([["insertion"], ["deletion"], ["stop"], ["stop"], *([[]] * 16)])
        length = len(wild)
        if "stop" in kinds:
            length = chance.randrange(len(wild) // 3, len(wild))
        taken: list[int] = []
        changes = set()
        protein = wild[:length]
        places = []
        for kind in kinds:
            place = chance.randrange(12, max(13, length - 20))
            if kind == "stop" or place + 20 > length or any(abs(place - other) < apart for other in taken):
                continue
            taken.append(place)
            places.append((place, kind))
        for place, kind in sorted(places, reverse=True):
            size = chance.choice([1, 1, 2, 3, 6])
            ref, alt = wild[place], chance.choice([letter for letter in AMINO_ACIDS if letter != wild[place]])
            if kind == "deletion":
                ref, alt = wild[place : place + size], ""
            elif kind == "insertion":
                ref, alt = "", "".join(chance.choices(AMINO_ACIDS, k=size))
            changes.update(normal_form(wild, place + 1, ref, alt))
            protein = protein[:place] + alt + protein[place + len(ref) :]
        if length < len(wild):
            changes.add(Change(length + 1, wild[length], "*"))
        found.append(Mutant(protein, reference, frozenset(changes)))
    return found


@dataclass
class Score:
    """What was put in, found again, and found without having been put in, by kind; and what was not assigned."""

    put: Counter[str]
    recalled: Counter[str]
    extra: Counter[str]
    assigned: int
    elsewhere: int

    def recall(self, kind: str) -> float:
        return self.recalled[kind] / self.put[kind] if self.put[kind] else 1.0

    def precision(self, kind: str) -> float:
        total = self.recalled[kind] + self.extra[kind]
        return self.recalled[kind] / total if total else 1.0


def scored(catalogue: Catalogue, truth: Sequence[Mutant], least_identity: float = 0.8) -> Score:
    """Call the mutants and compare: an early end of the alignment counts as a stop after its last letter."""
    proteins = {str(number): mutant.protein for number, mutant in enumerate(truth)}
    found = call(proteins, catalogue, least_identity=least_identity)
    score = Score(Counter(), Counter(), Counter(), 0, 0)
    for number, mutant in enumerate(truth):
        result = found[str(number)]
        put = Counter(change.kind for change in mutant.changes)
        score.put += put
        if result.alignment is None or result.reference is None:
            continue
        score.assigned += 1
        if result.reference.sequence != mutant.reference.sequence:
            score.elsewhere += 1
            continue
        shown = set(result.alignment.changes)
        end = result.alignment.reference_end
        if end < len(mutant.reference.sequence):
            shown.add(Change(end + 1, mutant.reference.sequence[end], "*"))
        score.recalled += Counter(change.kind for change in shown & mutant.changes)
        score.extra += Counter(change.kind for change in shown - mutant.changes)
    return score


def shortened(catalogue: Catalogue, share: float, identity: float, count: int, seed: int = 1) -> list[Mutant]:
    """Parts of wild types with substitutions at random places: the assignment's bound is about these two shares."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        reference = chance.choice(catalogue.references)
        size = max(1, round(share * len(reference.sequence)))
        start = chance.randrange(len(reference.sequence) - size + 1)
        letters = list(reference.sequence[start : start + size])
        for place in chance.sample(range(size), round((1 - identity) * size)):
            letters[place] = chance.choice([letter for letter in AMINO_ACIDS if letter != letters[place]])
        found.append(Mutant("".join(letters), reference, frozenset()))
    return found


def crowded(catalogue: Catalogue, count: int, seed: int = 1) -> list[Mutant]:
    """Mutants with two to four changes within some 30 letters, at least one of them an insertion or deletion."""
    chance = random.Random(seed)
    found = []
    while len(found) < count:
        reference = chance.choice([each for each in catalogue.references if len(each.sequence) > 80])
        wild = reference.sequence
        kinds = [chance.choice(["insertion", "deletion"])]
        kinds += [chance.choice([*KINDS[:3], "substitution"]) for _ in range(chance.randrange(1, 4))]
        chance.shuffle(kinds)
        place = chance.randrange(20, len(wild) - 20 - 12 * len(kinds))
        protein, changes = wild, set()
        placed = []
        for kind in kinds:
            placed.append((place, kind))
            place += chance.randrange(CLOSE, 12)
        for place, kind in reversed(placed):
            size = chance.choice([1, 1, 2, 3, 6])
            ref, alt = wild[place], chance.choice([letter for letter in AMINO_ACIDS if letter != wild[place]])
            if kind == "deletion":
                ref, alt = wild[place : place + size], ""
            elif kind == "insertion":
                ref, alt = "", "".join(chance.choices(AMINO_ACIDS, k=size))
            changes.update(normal_form(wild, place + 1, ref, alt))
            protein = protein[:place] + alt + protein[place + len(ref) :]
        found.append(Mutant(protein, reference, frozenset(changes)))
    return found


def main(count: int) -> None:
    catalogue = read_catalogue()
    for name, truth in (
        ("at least 14 letters apart", mutants(catalogue, count)),
        ("at least 1 letter apart", mutants(catalogue, count, apart=CLOSE)),
        ("crowded around an insertion or deletion", crowded(catalogue, count)),
    ):
        score = scored(catalogue, truth)
        print(f"{count} mutants, {name}: {score.assigned} assigned, {score.elsewhere} to another reference")
        for kind in KINDS:
            print(kind, score.put[kind], f"recall {score.recall(kind):.4f}", f"precision {score.precision(kind):.4f}")
    for share in (1.0, 0.5, 0.3, 0.2):
        for identity in (0.9, 0.8, 0.7, 0.6):
            part = scored(catalogue, shortened(catalogue, share, identity, count // 20), 0.8)
            print(f"coverage {share} identity {identity}: assigned {part.assigned / (count // 20):.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
