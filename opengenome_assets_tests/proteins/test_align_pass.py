"""The pass over a batch: its rows against the library's, one pair at a time, and against rows that are copied."""

import random
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from opengenome_assets.framework.shards import Shard
from opengenome_assets.proteins.alignment import Scoring, align
from opengenome_assets.proteins.changes import AMBIGUOUS
from opengenome_assets.proteins.passes.align import AlignTask, align_batch
from opengenome_assets.proteins.tables import ALIGNMENTS, DISTINCT_PROTEINS, SUBSTITUTIONS
from opengenome_assets_tests.kernels.proteins import mutant, random_protein


def digest(sequence: str) -> str:
    return sha256(sequence.encode()).hexdigest()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], dict[str, str]]:
    """Mutants with and without gaps, truncated and with ambiguous letters, of three references; and strangers."""
    chance = random.Random(3)
    wild = {f"R{number}": random_protein(chance, 150 + 60 * number) for number in range(3)}
    queries = []
    for sequence in wild.values():
        queries += [sequence, sequence[25:], sequence[:-30], sequence[:40] + "XBZU" + sequence[44:]]
        queries += [mutant(chance, sequence, changes) for changes in (1, 2, 3, 5, 8, 20) for _ in range(4)]
    queries += [random_protein(chance, 200) for _ in range(5)]
    queries = sorted(set(queries), key=digest)
    path = tmp_path_factory.mktemp("batch")
    rows = [{"protein_sha256": digest(each), "length": len(each), "sequence": each} for each in queries]
    pq.write_table(pa.Table.from_pylist(rows, schema=DISTINCT_PROTEINS.schema), path / "batch.parquet")
    return path, queries, wild


def task(path: Path, wild: dict[str, str], key: str, scoring: Scoring | None = None) -> AlignTask:
    references = tuple((name, digest(sequence), sequence) for name, sequence in wild.items())
    batch = (Shard("b", str(path / "batch.parquet"), "", 0),)
    uris = str(path / "alignments"), str(path / "substitutions")
    return AlignTask(batch, references, ((), ()), (), scoring or Scoring(), key, uris, {})


def rows(path: Path, made: Any) -> list[list[dict[str, Any]]]:
    tables = zip(("alignments", "substitutions"), (ALIGNMENTS, SUBSTITUTIONS), made, strict=True)
    return [
        [row for file in part.files for row in pq.read_table(path / name / file.path, schema=spec.schema).to_pylist()]
        for name, spec, part in tables
    ]


@pytest.mark.parametrize("scoring", [Scoring(), Scoring("BLOSUM45", 12, 1)])
def test_rows_are_those_of_the_library(world: tuple[Path, list[str], dict[str, str]], scoring: Scoring) -> None:
    path, queries, wild = world
    aligned, changed = rows(path, align_batch(task(path, wild, f"first{scoring.gap_open:g}", scoring)))
    by_name = {digest(each): each for each in queries}
    kept = {(row["protein_sha256"], row["reference"]) for row in aligned}
    shown: dict[Any, set[Any]] = {}
    for row in changed:
        change = row["position"], row["ref_aa"], row["alt_aa"], row["kind"], row["short"], row["hgvs"]
        shown.setdefault((row["protein_sha256"], row["reference"]), set()).add(change)
    for row in aligned:
        query, reference = by_name[row["protein_sha256"]], wild[row["reference"]]
        one = align(query, reference, scoring)
        assert (row["score"], row["cigar"], row["proof"]) == (one.score, one.cigar, one.proof)
        assert (row["query_start"] - 1, row["query_end"]) == (one.query_start, one.query_end)
        assert (row["reference_start"] - 1, row["reference_end"]) == (one.reference_start, one.reference_end)
        assert row["identity"] == pytest.approx(one.identity)
        assert row["coverage_query"] == pytest.approx(one.coverage_query)
        assert row["coverage_reference"] == pytest.approx(one.coverage_reference)
        assert row["columns"] == one.columns
        own = {(c.position, c.ref, c.alt, c.kind, c.short(), c.hgvs(reference)) for c in one.changes}
        wanted = own if one.identity >= 0.8 else set()
        assert shown.pop((row["protein_sha256"], row["reference"]), set()) == wanted
        assert len(row["ambiguous"]) == sum(letter in AMBIGUOUS for letter in query)
    assert not shown
    for query in queries:
        for name, reference in wild.items():
            one = align(query, reference, scoring)
            if one.identity >= 0.8 and one.coverage_reference >= 0.3:
                assert (digest(query), name) in kept


def test_flank_identity_and_ends_by_hand(world: tuple[Path, list[str], dict[str, str]]) -> None:
    path, _, wild = world
    _, changed = rows(path, align_batch(task(path, wild, "flanks")))
    assert changed
    for row in changed:
        if row["kind"] != "substitution":
            assert (row["flank_identity"], row["blosum62"]) == (None, None)
        else:
            assert 0 <= row["flank_identity"] <= 1
            assert row["at_end"] or 5 < row["position"] <= len(wild[row["reference"]]) - 5


def test_copied_rows_and_new_ones_together_are_those_of_one_pass(world: tuple[Path, list[str], dict[str, str]]) -> None:
    path, _, wild = world
    whole = rows(path, align_batch(task(path, wild, "whole")))
    some = {name: wild[name] for name in ("R0", "R2")}
    first = align_batch(task(path, some, "some"))
    before = tuple(
        tuple(Shard("x", str(path / name / file.path), "", 0) for file in part.files)
        for name, part in zip(("alignments", "substitutions"), first, strict=True)
    )
    rest = replace(task(path, {"R1": wild["R1"]}, "rest"), before=before, kept=("R0", "R2"))
    assert rows(path, align_batch(rest)) == whole
    fewer = replace(task(path, {}, "fewer"), before=before, kept=("R0",))
    assert rows(path, align_batch(fewer)) == [[row for row in table if row["reference"] == "R0"] for table in whole]
