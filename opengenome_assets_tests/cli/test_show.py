"""`opengenome show`: rows as text, CSV and JSON; those that conditions choose, compared with a look at each."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner

from opengenome_assets.cli import main
from opengenome_assets.storage.parts import write_part
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home

ROWS: list[dict[str, Any]] = [
    {"kmer": "ACG", "count": 5, "share": 0.25, "places": [1, 2], "note": None},
    {"kmer": "CGT", "count": 12, "share": 0.6, "places": [], "note": 'cut, "short"'},
    {"kmer": "GTA", "count": 3, "share": math.nan, "places": [9], "note": "=1+1"},
    {"kmer": "TAC" * 30, "count": 12, "share": 0.0, "places": [3], "note": "short\nlines"},
]
TYPES = {
    "kmer": pa.string(),
    "count": pa.int64(),
    "share": pa.float64(),
    "places": pa.list_(pa.int32()),
    "note": pa.string(),
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose table has two versions, the newer of two parts."""
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path))
    table = Home(str(tmp_path)).table("kmer_freq_k3")
    rows = pa.Table.from_pylist(ROWS, pa.schema(list(TYPES.items())))
    parts = [write_part(table.uri, key, rows.slice(2 * place, 2)) for place, key in enumerate("ab")]
    for number in (1, 2):
        table.commit(rows.schema, parts[:number], Provenance(name=table.name, code_version=str(number)))
    return tmp_path


def show(*arguments: str, code: int = 0) -> Any:
    answer = CliRunner().invoke(main, ["show", *arguments])
    assert answer.exit_code == code, answer.output
    return answer


def chosen(*conditions: str) -> list[str]:
    options = [each for condition in conditions for each in ("--where", condition)]
    return [row["kmer"] for row in json.loads(show("kmer_freq_k3", "--format", "json", *options).stdout)]


@pytest.mark.parametrize(
    ("conditions", "fits"),
    [
        ((), lambda row: True),
        (("count = 12",), lambda row: row["count"] == 12),
        (("count == 12",), lambda row: row["count"] == 12),
        (("kmer==ACG",), lambda row: row["kmer"] == "ACG"),
        (("count=12", "share > 0.5"), lambda row: row["count"] == 12 and row["share"] > 0.5),
        (("count != 12",), lambda row: row["count"] != 12),
        (("count<5",), lambda row: row["count"] < 5),
        (("count <= 5",), lambda row: row["count"] <= 5),
        (("count >= 5",), lambda row: row["count"] >= 5),
        (("note ~ short",), lambda row: "short" in (row["note"] or "")),
        (("note = =1+1",), lambda row: row["note"] == "=1+1"),
        (("kmer = nothing",), lambda row: False),
    ],
)
def test_conditions_choose_the_rows_that_a_look_at_each_chooses(conditions, fits) -> None:
    assert chosen(*conditions) == [row["kmer"] for row in ROWS if fits(row)]


def test_json_has_every_value_whole() -> None:
    rows = json.loads(show("kmer_freq_k3", "--format", "json").stdout)
    assert rows == [{**row, "share": None if math.isnan(row["share"]) else row["share"]} for row in ROWS]


def test_csv_is_read_back_by_pythons_reader() -> None:
    text = show("kmer_freq_k3", "--format", "csv", "--columns", "note,kmer,places").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows == [
        {"note": row["note"] or "", "kmer": row["kmer"], "places": json.dumps(row["places"])} for row in ROWS
    ]


def test_a_table_shortens_cells_and_says_what_it_left_out() -> None:
    answer = show("kmer_freq_k3", "--limit", "3", "--columns", "count,kmer")
    assert answer.stdout.splitlines() == ["count  kmer", "    5  ACG", "   12  CGT", "    3  GTA"]
    assert "3 rows shown, more fit: --limit" in answer.stderr
    assert "kmer_freq_k3 version 1 has 4." in answer.stderr
    answer = show("kmer_freq_k3", "--limit", "4")
    assert "4 rows shown; kmer_freq_k3 version 1 has 4." in answer.stderr
    assert "TACTAC…" not in answer.stdout
    assert "…" in answer.stdout
    assert len(answer.stdout.splitlines()) == 5
    assert "2 rows shown; kmer_freq_k3 version 0 has 2." in show("kmer_freq_k3", "--version", "0").stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing",), "nothing is no table that is made here. `opengenome info` lists the tables"),
        (("kmer_freqs_k7",), "kmer_freqs_k7 is no table that is made here. Is kmer_freq_k6 meant?"),
        (("genes",), "genes has not been made yet"),
        (("kmer_freq_k3", "--version", "7"), "has no version 7; it has 0 to 1"),
        (("kmer_freq_k3", "--columns", "kmer,x"), "--columns: there is no column x; there are kmer, count"),
        (("kmer_freq_k3", "--where", "count"), "'count' is no condition: expected a column, one of = !="),
        (("kmer_freq_k3", "--where", "x = 1"), "'x = 1': there is no column x"),
        (("kmer_freq_k3", "--where", "count = many"), "count is of type int64, and 'many' is not"),
        (("kmer_freq_k3", "--where", "count ~ 1"), "~ looks for text within text, and count is of type int64"),
        (("kmer_freq_k3", "--where", "places = 1"), "places is of type list<element: int32>, which is compared"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_sentence(arguments: tuple[str, ...], words: str) -> None:
    answer = show(*arguments, code=1)
    assert words in answer.stderr
    assert answer.stdout == ""
