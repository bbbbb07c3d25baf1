"""Scores of real pairs against EMBOSS: wild types of the shipped catalogue and their relatives in other organisms."""

import random
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from opengenome_assets.kernels.alignments import align_pairs
from opengenome_assets.kernels.amino_acids import doubled_scores
from opengenome_assets.kernels.assignment import Index
from opengenome_assets.proteins import read_catalogue
from opengenome_assets_tests.kernels.proteins import packed

pytestmark = pytest.mark.peer


def scores(tool: str, folder: Path, pairs: list[tuple[str, str]]) -> tuple[list[float], list[float]]:
    """EMBOSS' scores of pairs, and ours of the same; one process for each first protein."""
    if not shutil.which(tool):
        pytest.skip("EMBOSS is not installed")
    theirs: dict[tuple[str, str], float] = {}
    for query in dict.fromkeys(query for query, _ in pairs):
        others = list(dict.fromkeys(reference for other, reference in pairs if other == query))
        (folder / "a.fa").write_text(f">a\n{query}\n")
        (folder / "b.fa").write_text("".join(f">{number}\n{other}\n" for number, other in enumerate(others)))
        command = [tool, "-asequence", "a.fa", "-bsequence", "b.fa", "-gapopen", "10", "-gapextend", "0.5"]
        subprocess.run([*command, "-aformat", "score", "-outfile", "out"], cwd=folder, check=True, capture_output=True)
        found = re.findall(r"\((-?\d+\.\d)\)", (folder / "out").read_text())
        theirs |= {(query, other): float(score) for other, score in zip(others, found, strict=True)}
    queries, references = (list(side) for side in zip(*pairs, strict=True))
    numbers = np.repeat(np.arange(len(pairs), dtype=np.int32)[:, None], 2, axis=1)
    texts = *packed(queries), *packed(references)
    ours = align_pairs(*texts, numbers, doubled_scores("BLOSUM62"), 20, 1, local=tool == "water")
    return [theirs[pair] for pair in pairs], (ours.scores / 2).tolist()


def real_pairs() -> list[tuple[str, str]]:
    """Pairs of different wild types that share enough k-mers to be aligned."""
    wild = [reference.sequence for reference in read_catalogue().references]
    pairs, _ = Index(*packed(wild), coverage=0.2).candidates(*packed(wild))
    return [(wild[a], wild[b]) for a, b in pairs.tolist() if a < b]


@pytest.mark.parametrize("tool", ["needle", "water"])
def test_emboss_gives_the_same_scores(tool: str, tmp_path: Path) -> None:
    """EMBOSS needle leaves gaps at the ends free, as we do; water aligns locally, as we do when we are asked to."""
    theirs, ours = scores(tool, tmp_path, random.Random(1).sample(real_pairs(), 25))
    assert ours == theirs


@pytest.mark.adversary
@pytest.mark.parametrize("tool", ["needle", "water"])
def test_emboss_gives_the_same_scores_of_1_500_pairs(tool: str, tmp_path: Path) -> None:
    theirs, ours = scores(tool, tmp_path, random.Random(3).sample(real_pairs(), 1_500))
    assert ours == theirs
