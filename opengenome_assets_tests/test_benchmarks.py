"""The benchmarks: a corpus that can be trusted, costs that leave nothing out, and comparisons that can fail."""

import gzip
import io
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from Bio.SeqIO.FastaIO import SimpleFastaParser

from benchmarks import occurrences, search
from benchmarks.corpus import fasta, organelle_lengths, short_lengths, write_fasta
from benchmarks.count import count
from benchmarks.growth import Growth
from benchmarks.measure import CommandError, Cost, UnequalError, must_equal, run
from benchmarks.peers import K, MissingToolError, jellyfish, kmc, require_tools
from benchmarks.pipeline import Run
from benchmarks.report import Row, Target, page, tally
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
    monkeypatch.setattr(search, "ROUNDS", 1)
    monkeypatch.setattr(search, "POOL_BASES", 20_000_000)
    search.make_index(str(tmp_path), 2_500)
    result = search.measure(str(tmp_path), peers=True)
    assert set(result) == {"open", "reopen", "given", "strands", "many"} | {
        f"{name}{what}" for name in ("ours", "numpy", "faiss") for what in ("", "_bytes")
    }
    assert result["ours_bytes"] < 0.3 * result["numpy_bytes"]


def test_reading_hits_takes_time(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "CONTAINED_BASES", 2_000_000)
    search.make_corpus(str(tmp_path / "corpus"))
    assert search.measure_containment(str(tmp_path / "corpus")) > 0


def test_searches_for_kmers_agree_with_duckdb(tmp_path):
    row = occurrences.occurrences_row(BASES, tmp_path)
    assert [target.name for target in row.targets] == ["kernel, any k", "search, any k", "peak memory"]
    assert "\n| 31 | " in row.notes[1]


def test_a_missing_tool_is_named_with_its_package(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match=r"kmc_dump.*apt-get install .*diamond-aligner .* mmseqs2 prodigal"):
        require_tools()


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


def test_a_failing_command_is_an_error_with_its_last_words():
    with pytest.raises(CommandError, match=r"exit code 3\n.*enough"):
        run([sys.executable, "-c", "print('enough'); raise SystemExit(3)"])


def a_cost(cpu, **others):
    times = np.array([0.0, 10.0, 20.0])
    return Cost(cpu, 1.0, 1, {}, times, np.array([0.0, 2.0, 10.0]), [], **others)


def test_cpu_time_is_divided_by_time():
    cost = a_cost(10.0)
    assert cost.cpu_between(5, 15) == pytest.approx(5.0)
    assert sum(cost.cpu_between(start, start + 4) for start in range(0, 20, 4)) == pytest.approx(10.0)


def test_a_line_says_how_far_off_the_runs_are():
    sizes = [10**8, 10**9, 28 * 10**8]
    line = [Run(a_cost(5 + 20 * size / 1e9), {}) for size in sizes]
    growth = Growth.of(sizes, line)
    assert (growth.fixed, growth.per_billion) == (pytest.approx(5), pytest.approx(20))
    assert growth.off == pytest.approx(0, abs=1e-9)
    bent = [*line[:2], replace(line[2], cost=a_cost(100.0))]
    assert Growth.of(sizes, bent).off > 0.1


def test_a_row_is_met_when_all_its_figures_are():
    fast, slow = Target("speed", 3.0, 3.0, least=True), Target("speed", 2.9, 3.0, least=True)
    small, large = Target("memory", 1.0, 1.0, " GB"), Target("memory", 1.1, 1.0, " GB")
    rows = [Row("a", [fast, small]), Row("b", [fast, large], ["A remark."]), Row("c", [slow])]
    assert [row.is_met for row in rows] == [True, False, False]
    assert tally(rows) == "1 of 3 targets met"
    text = page(rows, BASES, None)
    assert "| b | speed | 3 | ≥ 3 | yes |\n|  | memory | 1.1 GB | ≤ 1 GB | **no** |" in text
    assert "## b\n\nA remark." in text


def test_the_quick_form_ends_with_how_many_targets_are_met():
    results = REPOSITORY / "benchmarks" / "RESULTS.md"
    before = results.read_bytes() if results.exists() else None
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks", str(BASES // 10)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    found = re.fullmatch(r"(\d+) of (\d+) targets met", lines[-1])
    assert found
    met, of = map(int, found.groups())
    assert of >= 6
    assert met == sum(line.startswith("met ") for line in lines)
    assert of - met == sum(line.startswith("MISSED ") for line in lines)
    assert (results.read_bytes() if results.exists() else None) == before
    assert lines[-1] in (REPOSITORY / "benchmarks" / "quick.md").read_text()
