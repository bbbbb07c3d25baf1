"""hf_revision_sensor: ticks against a local Hub, with real run records; at the end once through Dagster's daemon."""

import gzip
import json
import time
from functools import cache
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import SensorInstigatorData
from dagster._core.test_utils import create_run_for_test

from opengenome_assets.corpus.raw_fasta import catalogue_asset
from opengenome_assets.corpus.sensors import CHANGE_TAG, COMMIT_TAG, MAX_ATTEMPTS, NAME
from opengenome_assets.definitions import build_defs
from opengenome_assets.intake.hub import listing as hub_module
from opengenome_assets.storage.files import write_bytes
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import settings
from opengenome_assets_tests.intake.hub.hub_server import REPO, TOKEN, Fault, serving
from opengenome_assets_tests.processes import started, typed, wait_for

SOURCE = f"hf://datasets/{REPO}/fasta/moss"
PATIENCE = 900.0
FILES = {
    "README.md": b"# Genomes",
    "fasta/moss/README.md": b"# Mosses",
    "fasta/moss/a.fasta.gz": b"a",
    "fasta/moss/b.fa": b"b",
    "fasta/ferns/c.fasta.gz": b"c",
}


@pytest.fixture
def hub(monkeypatch):
    with serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.hub)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        server.commit(FILES)
        yield server


@cache
def definitions(source, home):
    defs = build_defs(settings(home, source, (6,)))
    return defs.get_repository_def()


class Ticks:
    """Ticks one after the other, as the daemon has them: it keeps the cursor and makes the runs."""

    def __init__(self, instance, source=SOURCE, home="/nowhere"):
        self.instance, self.source, self.home, self.cursor = instance, source, home, None

    def tick(self):
        """Evaluate the sensor; return what it asks for."""
        repository = definitions(self.source, self.home)
        context = dg.build_sensor_context(self.instance, self.cursor, repository_def=repository)
        result = repository.get_sensor_def(NAME).evaluate_tick(context)
        self.cursor = result.cursor
        return result

    def run(self):
        """Tick, expect one request, and make the run that it is for."""
        result = self.tick()
        (asked,) = result.run_requests
        assert result.skip_message is None
        assert not self.instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": asked.run_key}))
        tags = {**asked.tags, "dagster/run_key": asked.run_key}
        return create_run_for_test(self.instance, "corpus_full", run_config=asked.run_config, tags=tags)

    def skip(self):
        """Tick, expect no request, and return the reason."""
        result = self.tick()
        assert result.run_requests == []
        assert not result.dagster_run_reactions
        return result.skip_message

    def report(self, run, *kinds):
        for kind in kinds:
            event = dg.DagsterEvent(dg.DagsterEventType[f"RUN_{kind}"].value, run.job_name)
            self.instance.report_dagster_event(event, run.run_id)


@pytest.fixture
def ticks(hub):
    with dg.DagsterInstance.ephemeral() as instance:
        yield Ticks(instance)


def test_the_first_tick_requests_one_run_pinned_to_the_commit_and_tagged_with_it(hub, ticks):
    (commit,) = hub.commits
    run = ticks.run()
    pinned = f"hf://datasets/{REPO}@{commit}/fasta/moss"
    assert run.run_config == {"ops": {"raw_fasta": {"config": {"source": pinned}}}}
    assert run.tags[COMMIT_TAG] == commit
    assert run.tags["dagster/run_key"] == f"{run.tags[CHANGE_TAG]}-1"


@pytest.fixture
def catalogue(hub, tmp_path):
    """A home whose catalogue lists the files of the Hub's first commit."""
    tables = Home(str(tmp_path))
    config = {"ops": {"raw_fasta": {"config": {"source": SOURCE}}}}
    assert dg.materialize([catalogue_asset(SOURCE)], resources={"home": tables}, run_config=config).success
    return tables


def report(tables):
    """Leave the record of a report that was made from the catalogue."""
    made = Provenance(name="corpus_report", code_version="1", inputs={"raw_fasta": tables.table("raw_fasta").input()})
    write_bytes(f"{tables.uri}/reports/summary.json", json.dumps({"provenance": made.model_dump(mode="json")}).encode())


@pytest.mark.long
def test_a_sensor_without_memory_starts_no_run_for_what_has_been_made(hub, catalogue):
    (commit,) = hub.commits
    report(catalogue)
    with dg.DagsterInstance.ephemeral() as instance:
        ticks = Ticks(instance, home=catalogue.uri)
        assert ticks.skip() == f"commit {commit[:12]} has the 2 files that raw_fasta lists and the report is made of"
        assert ticks.skip() == f"no new commit since {commit[:12]}"
        hub.commit({**FILES, "fasta/moss/b.fa": b"changed"})
        ticks.run()


@pytest.mark.parametrize("change", [{"fasta/moss/b.fa": b"other"}, {"fasta/moss/d.fa": b"d"}])
@pytest.mark.long
def test_a_sensor_without_memory_starts_a_run_if_the_catalogue_lists_other_files(hub, catalogue, change):
    report(catalogue)
    commit = hub.commit({**FILES, **change})
    with dg.DagsterInstance.ephemeral() as instance:
        assert Ticks(instance, home=catalogue.uri).run().tags[COMMIT_TAG] == commit


@pytest.mark.long
def test_a_sensor_without_memory_starts_a_run_if_nothing_was_made_from_the_catalogue(catalogue):
    with dg.DagsterInstance.ephemeral() as instance:
        Ticks(instance, home=catalogue.uri).run()


def test_without_a_new_commit_a_tick_is_one_request_to_the_hub(hub, ticks):
    ticks.report(ticks.run(), "START", "SUCCESS")
    hub.requests.clear()
    cursor = ticks.cursor
    assert ticks.skip() == f"no new commit since {next(iter(hub.commits))[:12]}"
    assert len(hub.requests) == 1
    assert ticks.cursor == cursor


@pytest.mark.parametrize(
    ("path", "requests", "said"),
    [
        ("README.md", 2, "changed only files that are not used"),
        ("fasta/ferns/c.fasta.gz", 2, "changed only files that are not used"),
        ("fasta/moss/README.md", 4, "changed none of the 2 files in use"),
    ],
)
def test_a_commit_that_changes_no_file_in_use_starts_nothing_says_why_and_is_not_looked_at_again(
    hub, ticks, path, requests, said
):
    ticks.report(ticks.run(), "START", "SUCCESS")
    commit = hub.commit({**FILES, path: b"changed"})
    hub.requests.clear()
    assert ticks.skip() == f"commit {commit[:12]} {said}"
    assert len(hub.requests) == requests
    assert ticks.skip() == f"no new commit since {commit[:12]}"
    assert len(hub.requests) == requests + 1


@pytest.mark.parametrize(
    "changed",
    [
        {"fasta/moss/a.fasta.gz": b"changed"},  # known by its SHA-256
        {"fasta/moss/b.fa": b"changed"},  # known by its git blob id
        {"fasta/moss/d.fasta.gz": b"new"},
        {"fasta/moss/b.fa": None},  # removed
        {"fasta/moss/b.fa": None, "fasta/moss/renamed.fa": b"b"},
    ],
)
@pytest.mark.long
def test_a_commit_that_changes_a_file_in_use_starts_a_run(hub, ticks, changed):
    first = ticks.run()
    ticks.report(first, "START", "SUCCESS")
    commit = hub.commit({path: content for path, content in {**FILES, **changed}.items() if content is not None})
    second = ticks.run()
    assert second.tags[COMMIT_TAG] == commit
    assert second.tags[CHANGE_TAG] != first.tags[CHANGE_TAG]
    ticks.report(second, "START", "SUCCESS")
    assert "no new commit" in ticks.skip()


def test_two_commits_between_ticks_start_one_run_for_the_newer(hub, ticks):
    ticks.report(ticks.run(), "START", "SUCCESS")
    hub.commit({**FILES, "fasta/moss/a.fasta.gz": b"one"})
    newest = hub.commit({**FILES, "fasta/moss/a.fasta.gz": b"two"})
    run = ticks.run()
    assert run.tags[COMMIT_TAG] == newest
    ticks.report(run, "START", "SUCCESS")
    assert "no new commit" in ticks.skip()


def test_going_back_to_files_of_an_earlier_commit_is_a_change_too(hub, ticks):
    ticks.report(ticks.run(), "START", "SUCCESS")
    hub.commit({**FILES, "fasta/moss/a.fasta.gz": b"changed"})
    ticks.report(ticks.run(), "START", "SUCCESS")
    commit = hub.commit(FILES)
    assert ticks.run().tags[COMMIT_TAG] == commit


def test_a_failed_run_is_tried_again_until_it_failed_too_often_and_a_new_change_begins_anew(hub, ticks):
    change = None
    for attempt in range(1, MAX_ATTEMPTS + 1):
        run = ticks.run()
        change = change or run.tags[CHANGE_TAG]
        assert run.tags["dagster/run_key"] == f"{change}-{attempt}"
        ticks.report(run, "START", "FAILURE")
    said = ticks.skip()
    assert "failed 3 times and is not tried again" in said
    assert run.run_id in said
    assert ticks.skip() == said
    hub.commit({**FILES, "README.md": b"changed"})
    assert "changed only files that are not used; the run for its files failed 3 times" in ticks.skip()
    hub.commit({**FILES, "fasta/moss/a.fasta.gz": b"changed"})
    ticks.report(ticks.run(), "START", "FAILURE")
    ticks.report(ticks.run(), "START", "SUCCESS")
    assert "no new commit" in ticks.skip()


def test_a_run_is_tried_again_at_the_newest_commit_that_has_its_files(hub, ticks):
    ticks.report(ticks.run(), "START", "FAILURE")
    commit = hub.commit({**FILES, "README.md": b"changed"})
    run = ticks.run()
    assert run.tags["dagster/run_key"].endswith("-2")
    assert run.tags[COMMIT_TAG] == commit
    assert f"@{commit}/" in json.dumps(run.run_config)


def test_a_failed_run_that_somebody_executed_again_is_left_at_that(ticks):
    failed = ticks.run()
    ticks.report(failed, "START", "FAILURE")
    by_hand = create_run_for_test(ticks.instance, "corpus_full", tags={CHANGE_TAG: failed.tags[CHANGE_TAG]})
    ticks.report(by_hand, "START")
    assert "has not ended" in ticks.skip()
    ticks.report(by_hand, "SUCCESS")
    assert "no new commit" in ticks.skip()


@pytest.mark.parametrize("kinds", [["STARTING"], ["STARTING", "START"], ["START", "CANCELING"]])
def test_while_a_run_has_not_ended_no_other_is_started_and_the_hub_is_not_asked(hub, ticks, kinds):
    run = ticks.run()
    ticks.report(run, *kinds)
    hub.requests.clear()
    commit = hub.commit({**FILES, "fasta/moss/a.fasta.gz": b"changed"})
    said = ticks.skip()
    assert run.run_id in said
    assert "has not ended" in said
    assert hub.requests == []
    ticks.report(run, "SUCCESS")
    assert ticks.run().tags[COMMIT_TAG] == commit


def test_a_cancelled_run_is_not_tried_again(ticks):
    run = ticks.run()
    ticks.report(run, "START", "CANCELING", "CANCELED")
    assert f"was cancelled and is not tried again ({run.run_id})" in ticks.skip()


def test_a_request_of_which_nothing_came_is_made_again_under_the_same_key(ticks):
    (asked,) = ticks.tick().run_requests
    (again,) = ticks.tick().run_requests
    assert again.run_key == asked.run_key
    # Created, but Dagster could not launch it: it does so when the key comes again.
    create_run_for_test(ticks.instance, "corpus_full", tags={**again.tags, "dagster/run_key": again.run_key})
    (third,) = ticks.tick().run_requests
    assert third.run_key == asked.run_key


@pytest.mark.parametrize("cursor", ["", "nonsense", "[]", '{"source": 1}'])
def test_a_cursor_that_was_not_written_here_is_as_none(ticks, cursor):
    ticks.cursor = cursor
    ticks.run()


def test_another_source_starts_from_nothing(hub, ticks):
    ticks.report(ticks.run(), "START", "SUCCESS")
    ticks.source = f"hf://datasets/{REPO}/fasta/**/*.gz"
    other = ticks.run()
    ticks.report(other, "START", "SUCCESS")
    ticks.source = SOURCE
    ticks.report(ticks.run(), "START", "SUCCESS")
    assert "no new commit" in ticks.skip()


@pytest.mark.parametrize("source", ["sample", "/some/folder,/another"])
@pytest.mark.long
def test_without_a_dataset_there_is_nothing_to_follow(hub, ticks, source):
    ticks.source = source
    assert "names no dataset on the Hub: there is nothing to follow" in ticks.skip()
    assert hub.requests == []


@pytest.mark.long
def test_several_datasets_and_a_local_folder_are_followed_together(hub, ticks, tmp_path):
    old = hub.commit({**FILES, "fasta/moss/a.fasta.gz": b"of 2024"}, branch="v2024")
    new = hub.commit(FILES)
    ticks.source = f"{SOURCE}, {tmp_path}, hf://datasets/{REPO}@v2024/fasta/moss/*.gz"
    run = ticks.run()
    assert run.run_config["ops"]["raw_fasta"]["config"]["source"] == (
        f"hf://datasets/{REPO}@{new}/fasta/moss,{tmp_path},hf://datasets/{REPO}@{old}/fasta/moss/*.gz"
    )
    assert run.tags[COMMIT_TAG] == f"{new},{old}"
    ticks.report(run, "START", "SUCCESS")
    assert ticks.skip() == f"no new commit since {new[:12]}, {old[:12]}"
    changed = hub.commit({**FILES, "fasta/moss/a.fasta.gz": b"changed"}, branch="v2024")
    assert ticks.run().tags[COMMIT_TAG] == f"{new},{changed}"


def test_two_folders_of_one_dataset_share_a_commit(hub, ticks):
    ticks.source = f"{SOURCE},hf://datasets/{REPO}/fasta/ferns"
    assert ticks.run().tags[COMMIT_TAG] == next(iter(hub.commits))


def test_the_same_bytes_at_each_others_place_are_a_change(hub, ticks):
    other = {**FILES, "fasta/moss/a.fasta.gz": b"other"}
    hub.commit(other, branch="dev")
    ticks.source = f"{SOURCE},{SOURCE}".replace("genomes/", "genomes@dev/", 1)
    ticks.report(ticks.run(), "START", "SUCCESS")
    hub.commit(FILES, branch="dev")
    hub.commit(other)
    ticks.run()


def refuse(hub, *faults):
    hub.fail("api", *faults, times=20)


def gone(hub, _):
    hub.branches.clear()


def not_there(_, patch):
    patch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


def private(hub, patch):
    hub.private = True
    patch.delenv("HF_TOKEN")


@pytest.mark.long
@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (not_there, "Connection refused). Check the network"),
        (lambda hub, _: refuse(hub, Fault(401, at="hub")), "HF_TOKEN was refused. Make a new token"),
        (lambda hub, _: refuse(hub, Fault(404, at="hub")), f"there is no dataset {REPO}, or it is private"),
        (lambda hub, _: refuse(hub, Fault(503, at="hub")), "answered 503. Try again later"),
        (lambda hub, _: refuse(hub, Fault(429, {"Retry-After": "300"}, at="hub")), "answered 429. Try again in 300 s"),
        (lambda hub, _: refuse(hub, Fault(content=b"<html>", at="hub")), "gave an answer that is not the Hub's"),
        (lambda hub, _: refuse(hub, Fault(end="stall", at="hub")), "was not reached"),
        (private, "set HF_TOKEN to a token that may read it"),
        (gone, "has no revision "),
        (lambda _, patch: patch.setenv("HF_TOKEN", f"{TOKEN}\n{TOKEN}"), "HF_TOKEN holds characters that no token has"),
    ],
)
def test_a_hub_that_does_not_answer_is_a_reason_to_skip_and_the_next_tick_goes_on(
    hub, ticks, happens, said, monkeypatch
):
    monkeypatch.setattr(hub_module, "REQUEST_SECONDS", 0.3)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    ticks.report(ticks.run(), "START", "SUCCESS")
    cursor = ticks.cursor
    commit = hub.commit({**FILES, "fasta/moss/a.fasta.gz": b"changed"})
    branches = dict(hub.branches)
    with monkeypatch.context() as patch:
        happens(hub, patch)
        reason = ticks.skip()
    assert said in reason
    assert TOKEN not in reason
    assert "Traceback" not in reason
    assert ticks.cursor == cursor
    hub.faults.clear()
    hub.private, hub.branches = False, branches
    assert ticks.run().tags[COMMIT_TAG] == commit


@pytest.mark.long
@pytest.mark.parametrize("source", ["hf://datasets/nobody/nothing", "hf://datasets/", "hf://spaces/a/b"])
def test_a_dataset_that_is_not_there_is_a_reason_to_skip(hub, ticks, source):
    ticks.source = source
    assert ticks.skip().startswith(source)


@pytest.mark.slow
def test_a_tick_over_ten_thousand_files_takes_seconds(hub, ticks):
    files = {f"fasta/moss/{i // 100:03}/{i:05}.fasta.gz": b"%d" % i for i in range(10_000)}
    hub.commit(files)
    hub.requests.clear()
    began = time.process_time()
    ticks.report(ticks.run(), "START", "SUCCESS")
    assert time.process_time() - began < 20  # CPU seconds; a tick may take 60 by the clock
    assert len(hub.requests) < 20
    hub.commit({**files, "README.md": b"changed"})
    assert "changed only files that are not used" in ticks.skip()


# It waits for what is to happen, however long that takes on a machine that is busy with other things.
@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE)
def test_the_daemon_finds_a_new_commit_and_runs_what_it_changes(hub, tmp_path):
    before = {**FILES, "fasta/moss/a.fasta.gz": gzip.compress(b">a\nACGTACGTA\n"), "fasta/moss/b.fa": b">b\nGGGGGGGG\n"}
    hub.commit(before)
    home = tmp_path / "home"
    (home / "dagster").mkdir(parents=True)
    settings = {
        "OPENGENOME_SOURCE": SOURCE,
        "OPENGENOME_KS": "6",
        # For the evaluation of a tick, on a machine that is busy with other things.
        "DAGSTER_GRPC_TIMEOUT_SECONDS": "600",
        "DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": "600",
        "HF_ENDPOINT": hub.hub,
        "HF_TOKEN": TOKEN,
    }
    with dg.DagsterInstance.local_temp(str(home / "dagster")) as instance:
        typed(f"dagster sensor start {NAME}", home, seconds=PATIENCE, **settings)
        # As after a tick at the first commit, so that the daemon has not to be waited for until its second.
        earlier = Ticks(instance)
        earlier.tick()
        (state,) = instance.all_instigator_state()
        instance.update_instigator_state(state.with_data(SensorInstigatorData(cursor=earlier.cursor)))
        commit = hub.commit({**before, "fasta/moss/b.fa": b">b\nCCCCCCCC\n"})
        with started(["dagster-daemon", "run"], home, **settings) as daemon:

            def ended() -> list[dg.DagsterRun]:
                assert daemon.poll() is None, Path(f"{home}.log").read_text()
                return [run for run in instance.get_runs() if run.is_finished]

            (run,) = wait_for(ended, "run that has ended", PATIENCE, every=0.5)
            (only,) = instance.get_runs()
    assert (run.status, run.job_name) == (dg.DagsterRunStatus.SUCCESS, "corpus_full"), Path(f"{home}.log").read_text()
    assert only.run_id == run.run_id
    assert run.tags[COMMIT_TAG] == commit
    assert run.tags["dagster/sensor_name"] == NAME
    assert run.tags["dagster/run_key"] == f"{run.tags[CHANGE_TAG]}-1"
    rows = Home(str(home)).table("sequence_shards").read().to_pylist()
    assert {row["seq_id"]: row["sequence"] for row in rows} == {"a": "ACGTACGTA", "b": "CCCCCCCC"}
    assert set(Home(str(home)).table("raw_fasta").read()["revision"].to_pylist()) == {commit}
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > 50
    assert [path for path in kept if TOKEN.encode() in path.read_bytes()] == []
