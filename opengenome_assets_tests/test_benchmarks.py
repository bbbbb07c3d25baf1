"""The benchmarks: a corpus that can be trusted, costs that leave nothing out, and comparisons that can fail."""

import gzip
import io
import re
import subprocess
import sys
from functools import partial
from inspect import signature

import numpy as np
import pytest
from Bio.SeqIO.FastaIO import SimpleFastaParser

from benchmarks import kernels, occurrences, search
from benchmarks.__main__ import main
from benchmarks.corpus import fasta, organelle_lengths, short_lengths, write_fasta
from benchmarks.count import count
from benchmarks.line import Line
from benchmarks.measure import CommandError, Cost, UnequalError, in_turn, must_equal, run
from benchmarks.page import page
from benchmarks.peers import PACKAGES, K, MissingToolError, jellyfish, kmc, require_tools
from benchmarks.picture import cost_against_size
from benchmarks.report import Figure, Row, ratio, summary, tally
from benchmarks.results import Measured, keep, read_all
from benchmarks.rows import ROWS
from opengenome_assets_tests.processes import REPOSITORY

pytestmark = pytest.mark.slow

BASES = 1_000_000

# A daemon that lets the kernel discard its children, as Spark's does, and outlives the command that started it.
DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if os.fork() == 0:
        memory = b"1" * 200_000_000
        while time.process_time() < 1.0: pass
        os._exit(0)
    while True:
        try: os.wait()
        except ChildProcessError: os._exit(0)
"""


def text_of(lengths, **settings):
    return b"".join(text.tobytes() for text, _ in fasta(lengths, **settings))


def test_the_same_seed_gives_the_same_text_and_another_does_not():
    lengths = organelle_lengths(BASES)
    assert text_of(lengths) == text_of(lengths)
    assert text_of(lengths) != text_of(lengths, seed=2)


def test_the_corpus_is_like_the_organelles():
    lengths = organelle_lengths(2_800_000_000)
    assert 31_000 < len(lengths) < 33_000
    assert 2_800_000_000 <= lengths.sum() < 2_800_160_000
    assert lengths.min() >= 15_000
    assert lengths.max() <= 160_000


@pytest.mark.parametrize("lengths", [organelle_lengths(BASES), short_lengths(1000)], ids=["organelles", "short"])
@pytest.mark.parametrize("ending", ["fasta", "fasta.gz"])
def test_what_is_written_is_fasta_with_all_that_occurs_in_it(tmp_path, lengths, ending):
    file = tmp_path / f"corpus.{ending}"
    totals = write_fasta(file, lengths, first=7)
    content = gzip.decompress(file.read_bytes()) if ending.endswith("gz") else file.read_bytes()
    records = list(SimpleFastaParser(io.StringIO(content.decode())))
    letters = "".join(sequence for _, sequence in records)

    assert [len(sequence) for _, sequence in records] == lengths.tolist()
    assert [title.split()[0] for title, _ in records] == [f"OG{7 + n:09}.1" for n in range(len(lengths))]
    assert max(map(len, content.splitlines())) == 80
    counts = {letter: letters.upper().count(letter) for letter in set(letters.upper())}
    acgt = sum(counts[letter] for letter in "ACGT")
    assert set(counts) <= set("ACGTRYSWKMBDHVN")
    assert 0.33 < (counts["C"] + counts["G"]) / acgt < 0.45
    assert "NN" in letters
    assert set(counts) - set("ACGTN")
    assert re.search("[acgt]{20}", letters)
    written = (totals.records, totals.bases, totals.acgt_bases, totals.text_bytes)
    assert written == (len(records), len(letters), acgt, len(content))


def test_some_kmers_are_far_more_frequent_than_others():
    letters = text_of(np.array([200_000])).decode().partition("\n")[2].replace("\n", "").upper()
    _, counts = np.unique([letters[start : start + 4] for start in range(len(letters) - 3)], return_counts=True)
    assert counts.max() > 3 * np.median(counts)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (np.arange(4), np.array([0, 1, 2, 4])),
        ({6: np.zeros(3)}, {6: np.zeros(4)}),
        ({6: np.zeros(3)}, {7: np.zeros(3)}),
        ([10, 20], [10, 21]),
    ],
)
def test_different_results_are_an_error(ours, theirs):
    must_equal("itself", ours, ours)
    with pytest.raises(UnequalError, match="counts of both are not equal"):
        must_equal("counts of both", ours, theirs)


def test_the_kernels_count_what_the_peers_count(tmp_path, tool):
    for name in ("kmc", "kmc_dump", "jellyfish"):
        tool(name)
    file = tmp_path / "corpus.fasta"
    write_fasta(file, organelle_lengths(BASES))
    count(str(file), str(tmp_path / "tables.npy"))
    with open(tmp_path / "tables.npy", "rb") as saved:
        tables = {k: np.load(saved) for k in (6, 7, 8)}
    _, expected = kmc(file, tmp_path)
    assert expected.sum() > 0.9 * BASES
    must_equal("KMC's", tables[K], expected)
    must_equal("jellyfish's", tables[K], jellyfish(file, tmp_path)[1])


def test_searches_agree_with_those_of_the_peers(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "ROUNDS", 2)
    monkeypatch.setattr(search, "OPENINGS", 1)
    monkeypatch.setattr(search, "POOL_BASES", 20_000_000)
    search.make_index(str(tmp_path), 2_500)
    result = search.measure(str(tmp_path), peers=True)
    assert set(result["queries"]) == {"given", "ours", "numpy", "faiss"} == set(result["bytes"])
    assert {np.shape(each) for each in result["queries"].values()} == {(len(search.QUERY_LENGTHS), 2, 2)}
    assert result["bytes"]["ours"] < 0.3 * result["bytes"]["numpy"]
    assert search.read_files(str(tmp_path)) >= 0.99 * result["bytes"]["ours"] - result["own"]


def test_reading_hits_takes_time(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "CONTAINED_BASES", 2_000_000)
    search.make_corpus(str(tmp_path / "corpus"))
    assert search.measure_containment(str(tmp_path / "corpus")) > 0


def test_searches_for_kmers_agree_with_duckdb(tmp_path):
    row = occurrences.occurrences_row(BASES, tmp_path)
    assert [figure.name for figure in row.figures if figure.bound and figure.unit == " x"] == [
        "kernel, CPU / that of only reading the letters, of all k the most",
        "kernel, speed / the plain rolling kernel's, of all k the least",
        "search, CPU / decompression and kernel in one process, of all k the most",
    ]
    assert "\n| 31 | " in row.notes[1]


def test_a_missing_tool_is_named_with_its_package(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match=r"^kmc_dump, water not found.*apt-get install emboss kmc$"):
        require_tools(["kmc_dump", "water"])


@pytest.fixture
def busy_child():
    """Another child of this process, which is nobody's business."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        yield
        process.kill()


@pytest.mark.usefixtures("busy_child")
def test_cost_is_that_of_all_processes_even_of_those_nobody_waits_for():
    cost = run([sys.executable, "-c", DAEMON])
    assert 0.7 < cost.cpu < 3
    assert cost.cpu == pytest.approx(cost.cpu_until[-1], abs=0.5)
    assert 200e6 < cost.peak < 600e6
    assert cost.peaks["driver"] > 200e6
    assert 200e6 < cost.own_peaks["driver"] < cost.peaks["driver"]


def test_a_failing_command_is_an_error_with_its_last_words():
    with pytest.raises(CommandError, match=r"exit code 3\n.*enough"):
        run([sys.executable, "-c", "print('enough'); raise SystemExit(3)"])


def a_cost(cpu, **others):
    times = np.array([0.0, 10.0, 20.0])
    return Cost(cpu, 1.0, 1, {}, {}, times, np.array([0.0, 2.0, 10.0]), [], **others)


def test_cpu_time_is_divided_by_time():
    cost = a_cost(10.0)
    assert cost.cpu_between(5, 15) == pytest.approx(5.0)
    assert sum(cost.cpu_between(start, start + 4) for start in range(0, 20, 4)) == pytest.approx(10.0)


def test_things_done_in_turn_meet_the_same_machine():
    """A round that is three times as slow as the others changes no ratio."""
    now, pace = 0.0, iter([1, 1, 1, 1, 3, 3, 1, 1])

    def work(seconds):
        nonlocal now
        now += seconds * next(pace)

    ours, theirs = in_turn(partial(work, 1.0), partial(work, 4.0), rounds=3, clock=lambda: now)
    np.testing.assert_array_equal(ours, [1, 3, 1])
    np.testing.assert_array_equal(theirs, [4, 12, 4])
    figure = ratio("work", ours, theirs, 0.3)
    assert (figure.value, figure.spread, figure.is_met) == (0.25, (0.25, 0.25), True)


def test_a_ratio_is_the_median_of_the_rounds_with_their_spread():
    figure = ratio("work", [2.0, 9.0, 4.0], [1.0, 3.0, 4.0], 1.5)
    assert (figure.value, figure.spread, figure.is_met) == (2.0, (1.0, 3.0), False)
    assert (figure.measured, figure.target) == ("2 x (1 to 3)", "≤ 1.5 x")


def test_a_line_says_how_far_off_the_runs_are():
    sizes = [1e8, 1e9, 2.8e9]
    line = Line.through(sizes, [5 + 20 * size / 1e9 for size in sizes])
    assert (line.fixed, line.per_billion) == (pytest.approx(5), pytest.approx(20))
    assert line.off == pytest.approx(0, abs=1e-9)
    assert Line.through(sizes, [*line.cpu[:2], 100.0]).off > 0.1


def test_a_row_is_met_when_all_its_figures_are():
    fast, slow = Figure("speed", 3.0, 3.0, least=True), Figure("speed", 2.9, 3.0, least=True)
    small, large = Figure("memory", 1.0, 1.0, " GB"), Figure("memory", 1.1, 1.0, " GB")
    rows = [Row("a", [fast, small]), Row("b", [fast, large]), Row("c", [slow]), Row("d", [Figure("time", 1e9)])]
    assert [row.is_met for row in rows] == [True, False, False, True]
    assert tally(rows) == "1 of 3 targets met"
    assert "memory: 1.1 GB (target ≤ 1 GB, missed)" in summary(rows[1])


OLD, NEW = {"processor": "Old, 2 cores", "numpy": "1"}, {"processor": "New, 2 cores", "numpy": "2"}


def measured(value, day="2026-01-01", **others):
    figures = [Figure("time / theirs", value, 1.0, " x", spread=(0.5, value))]
    return Measured(day, BASES, Row("work", figures, ["A remark."], **others))


def test_a_run_replaces_the_rows_that_it_measured_and_leaves_the_others(tmp_path):
    keep(tmp_path, OLD, {"kmers": measured(0.6), "scan": measured(0.7)})
    keep(tmp_path, NEW, {"kmers": measured(0.8)})
    keep(tmp_path, {**OLD, "numpy": "3"}, {"kmers": measured(2.0, "2026-02-02", series={"bases": [1.0]})})
    new, old = read_all(tmp_path)
    assert (new.name, old.name) == ("New, 2 cores", "Old, 2 cores")
    assert dict(new.rows) == {"kmers": measured(0.8)}
    assert dict(old.rows) == {
        "kmers": measured(2.0, "2026-02-02", series={"bases": [1.0]}),
        "scan": measured(0.7),
    }
    assert {day: machine["numpy"] for day, machine in old.machines.items()} == {"2026-01-01": "1", "2026-02-02": "3"}


def test_a_machine_of_which_no_row_is_left_is_forgotten(tmp_path):
    keep(tmp_path, OLD, {"kmers": measured(0.6)})
    keep(tmp_path, OLD, {"kmers": measured(0.6, "2026-02-02")})
    assert list(read_all(tmp_path)[0].machines) == ["2026-02-02"]


def test_a_file_that_holds_no_results_is_named(tmp_path):
    (tmp_path / "new.json").write_text('{"rows": {}}')
    with pytest.raises(ValueError, match=r"new\.json: expected a processor's results(.|\n)*name"):
        read_all(tmp_path)


def test_the_page_has_a_column_for_each_processor(tmp_path):
    keep(tmp_path, OLD, {"kmers": measured(0.6), "scan": measured(0.7)})
    keep(tmp_path, NEW, {"kmers": measured(2.0)})
    text = page(read_all(tmp_path), ["scan", "kmers"])
    assert "| work | figure | target | New, 2 cores | Old, 2 cores |" in text
    assert "| work | time / theirs | ≤ 1 x |  | 0.7 x (0.5 to 0.7) |" in text
    assert "| work | time / theirs | ≤ 1 x | **2 x (0.5 to 2)** | 0.6 x (0.5 to 0.6) |" in text
    assert "**New, 2 cores, 2026-01-01**\n\nA remark.\n\n**Old, 2 cores, 2026-01-01**\n\nA remark." in text
    assert "New, 2 cores: 0 of 1 targets met, Old, 2 cores: 2 of 2 targets met." in text


def test_older_figures_are_judged_by_the_newest_targets(tmp_path):
    before = Measured("2025-01-01", BASES, Row("work", [Figure("time / theirs", 1.2, 1.5, " x")]))
    keep(tmp_path, OLD, {"kmers": before})
    keep(tmp_path, NEW, {"kmers": measured(0.6)})
    text = page(read_all(tmp_path), ["kmers"])
    assert "| work | time / theirs | ≤ 1 x | 0.6 x (0.5 to 0.6) | **1.2 x** |" in text
    assert "New, 2 cores: 1 of 1 targets met, Old, 2 cores: 0 of 1 targets met." in text


def test_the_page_in_the_repository_is_drawn_from_the_results():
    processors = read_all(REPOSITORY / "benchmarks" / "results")
    assert len(processors) > 1
    assert {name for processor in processors for name in processor.rows} <= set(ROWS)
    text = (REPOSITORY / "benchmarks" / "RESULTS.md").read_text()
    assert text == page(processors, list(ROWS), "cost.svg")


def test_the_cost_against_size_is_drawn_for_each_processor():
    series = {"bases": [1e8, 1e9, 2.8e9], "cpu": [17.0, 24.0, 38.0], "peak": [1.4e9, 1.5e9, 1.6e9]}
    figure = cost_against_size({"Old": series, "New": {**series, "cpu": [27.0, 34.0, 48.0]}})
    cpu, memory = figure.axes
    assert [line.get_ydata()[-1] for line in cpu.lines[1::2]] == [38.0, 48.0]
    assert [text.get_text() for text in memory.get_legend().get_texts()] == ["Old", "New"]


def test_every_row_has_its_function_and_its_tools():
    for work in ROWS.values():
        assert list(signature(work.find()).parameters) == ["bases", "folder"]
        assert set(work.tools) <= set(PACKAGES)


def test_a_row_that_does_not_exist_is_named(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["100000", "kmer"])
    assert "no row is called kmer. The rows: kmers, counting" in capsys.readouterr().err


@pytest.mark.parametrize("error", [UnequalError("both are not equal"), CommandError("exit code 3")])
def test_other_results_and_failed_commands_end_with_code_1(error, tmp_path, monkeypatch, capsys):
    """The other rows are measured all the same, and kept."""

    def fail(bases, folder):
        raise error

    monkeypatch.setattr(kernels, "codon_row", fail)
    monkeypatch.setattr(kernels, "kmer_row", lambda bases, folder: Row("counting", [Figure("time", 2.0, 1.0)]))
    with pytest.raises(SystemExit, match=r"failed in 1 of 2 rows: codons"):
        main(["100000", "codons", "kmers", "--results", str(tmp_path / "quick")])
    assert f"FAILED  codons: {type(error).__name__}: {error}" in capsys.readouterr().err
    assert [list(processor.rows) for processor in read_all(tmp_path / "quick")] == [["kmers"]]


def test_a_row_is_measured_alone(tmp_path):
    """A missed target is no failure. Ratios of so few bases are missed or met by chance."""
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks", str(BASES // 10), "kmers", "--results", str(tmp_path / "quick")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    found = re.fullmatch(r"(\d+) of 1 targets met", lines[-1])
    assert found
    assert int(found[1]) == sum(line.startswith("met ") for line in lines)
    assert 1 - int(found[1]) == sum(line.startswith("MISSED ") for line in lines)
    (processor,) = read_all(tmp_path / "quick")
    assert list(processor.rows) == ["kmers"]
    assert processor.rows["kmers"].bases == BASES // 10
    plain = processor.rows["kmers"].row.figures[1]
    assert plain.spread
    assert 0 < plain.spread[0] <= plain.value <= plain.spread[1]
    assert (tmp_path / "quick.md").read_text() == page([processor], list(ROWS))
