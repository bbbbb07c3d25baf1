"""Checkout: the tables as a run left them, with those that it reused, also if Dagster has forgotten the run."""

import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from opengenome_assets.cli import main
from opengenome_assets.lineage.failures import open_instance
from opengenome_assets.lineage.runs import UnknownRunError
from opengenome_assets.operations.checkout import state_after
from opengenome_assets.operations.refresh import outdated
from opengenome_assets_tests.processes import typed
from opengenome_assets_tests.twice import Twice

ALIKE = tuple(f"00000000-0000-4000-8000-{number:012}" for number in range(2))


def type_(*arguments: str) -> Any:
    """Type a command that succeeds and prints JSON."""
    result = CliRunner().invoke(main, [*arguments, "--format", "json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_a_run_left_what_it_made_and_what_it_reused(twice: Twice, instance: dg.DagsterInstance) -> None:
    first, second = (state_after(twice.home, instance, run) for run in twice.runs)
    assert set(first.versions) == set(twice.home.names())
    assert set(first.versions.values()) == {0}
    # The files were the same, so the second run added no version of their catalogue.
    assert {name for name, version in second.versions.items() if version == 0} == {"raw_fasta"}
    assert (first.later, second.later) == ([], [])


def test_it_is_known_without_dagsters_memory(twice: Twice, instance: dg.DagsterInstance) -> None:
    expected = [state_after(twice.home, instance, run).versions for run in twice.runs]
    shutil.rmtree(Path(twice.home.uri, "dagster"))
    with dg.instance_for_test() as forgetful:
        assert [state_after(twice.home, forgetful, run[:8]).versions for run in twice.runs] == expected


def test_tables_made_later_are_named_and_stay(twice: Twice, instance: dg.DagsterInstance) -> None:
    only = twice.corpus.materialize("raw_fasta", instance=instance).run_id
    shutil.rmtree(twice.home.table("kmer_freq_k2").uri)
    twice.corpus.materialize("kmer_freq_k2", instance=instance)
    state = state_after(twice.home, instance, only)
    assert state.later == ["kmer_freq_k2"]
    assert "kmer_freq_k2" not in state.versions
    printed = CliRunner().invoke(main, ["checkout", "--run", only, "--dry-run"]).output
    assert "Did not exist then, and stay as they are\n  kmer_freq_k2\n" in printed


def test_a_run_that_nobody_knows_or_several_is_refused(twice: Twice, instance: dg.DagsterInstance) -> None:
    with pytest.raises(UnknownRunError, match=r"begins with 'no-such-run'; none does\. See: opengenome runs"):
        state_after(twice.home, instance, "no-such-run")
    both = [
        instance.create_run_for_job(dg.job(name=f"j{n}")(lambda: None), run_id=run_id) for n, run_id in enumerate(ALIKE)
    ]
    with pytest.raises(UnknownRunError, match=f"2 do: {ALIKE[0]}, {ALIKE[1]}"):
        state_after(twice.home, instance, ALIKE[0][:8])
    with pytest.raises(UnknownRunError, match=f"run {ALIKE[0]} goes on"):
        state_after(twice.home, instance, both[0].run_id)


def test_checking_out_and_back_loses_nothing_and_stands_in_the_run_history(
    twice: Twice, instance: dg.DagsterInstance
) -> None:
    before, old = twice.rows(), {name: twice.home.table(name).at(0).read().to_pylist() for name in twice.rows()}
    planned = type_("checkout", "--run", twice.runs[0][:8], "--dry-run")
    assert twice.rows() == before != old
    done = type_("checkout", "--run", twice.runs[0][:8])
    assert done["run"] == twice.runs[0]
    assert done["tables"].keys() == planned["tables"].keys() == old.keys()
    assert twice.rows() == old
    # All tables fit together; figures and the report are of the second run.
    assert done["outdated"] == planned["outdated"]
    assert {name.partition("_")[0] for name in done["outdated"]} == {"figure", "corpus"}
    (run,) = instance.get_runs(filters=dg.RunsFilter(tags={"opengenome/checkout": twice.runs[0]}), limit=1)
    assert (run.job_name, run.status.value) == ("restore", "SUCCESS")
    type_("checkout", "--run", twice.runs[1])
    assert twice.rows() == before
    type_("checkout", "--run", run.run_id)  # what a checkout left can be checked out again
    assert twice.rows() == old


@pytest.mark.slow
def test_it_is_typed_and_says_what_to_type_next(twice: Twice) -> None:
    printed = typed(f"opengenome checkout --run {twice.runs[0]}", Path(twice.home.uri), OPENGENOME_KS="2,6")
    assert f"Restored to the state after run {twice.runs[0][:8]}, " in printed
    command = next(line for line in printed.splitlines() if line.strip().startswith("-> "))
    typed(f"{command.strip().removeprefix('-> ')} 2>&1", Path(twice.home.uri), OPENGENOME_KS="2,6")
    assert twice.home.names()
    again = type_("checkout", "--run", twice.runs[0], "--dry-run")
    assert again["outdated"] == []
    printed = typed("opengenome restore kmer_ --version 1", Path(twice.home.uri), OPENGENOME_KS="2,6")
    assert "kmer_freq_k6" in printed


@pytest.mark.slow
def test_what_it_says_to_type_succeeds_when_other_ks_are_set(twice: Twice) -> None:
    home = Path(twice.home.uri)
    printed = typed(f"opengenome checkout --run {twice.runs[0]}", home, OPENGENOME_KS="2,3")
    assert "figure_kmers_k6: needs OPENGENOME_KS with 6" in printed
    command = next(line for line in printed.splitlines() if line.strip().startswith("-> "))
    typed(f"{command.strip().removeprefix('-> ')} 2>&1", home, OPENGENOME_KS="2,3")
    assert twice.home.table("kmer_").provenance().settings["ks"] == [2, 3]
    assert [name for name in outdated(twice.home) if "k6" not in name] == []


def test_what_cannot_be_restored_is_told_in_a_sentence(twice: Twice) -> None:
    result = CliRunner().invoke(main, ["restore", "kmer_", "--version", "7"])
    assert result.exit_code == 1
    assert result.output == "Error: kmer_ has no version 7; it has 0 to 1\n"
    with open_instance() as instance:
        runs = instance.get_runs_count()
        for name, words in (
            ("figure_spectrum", "of which only the last is kept"),
            ("nope", "There are: codon_bias, codon_counts,"),
        ):
            result = CliRunner().invoke(main, ["restore", name, "--version", "0"])
            assert (result.exit_code, words in result.output) == (1, True), result.output
        assert instance.get_runs_count() == runs
