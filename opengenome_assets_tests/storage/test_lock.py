"""The home's lock: one writer at a time, a dead one frees it, and one that lost it commits and removes nothing."""

import errno
import fcntl
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import dagster as dg
import pytest
from botocore.exceptions import ClientError

from opengenome_assets.framework.resources import HomeResource
from opengenome_assets.storage.conditional import ConditionalObject, State, UnconditionalStoreError
from opengenome_assets.storage.files import read_bytes, write_bytes
from opengenome_assets.storage.lease import LeaseEntry, LostLeaseError
from opengenome_assets.storage.lock import only_writer
from opengenome_assets.storage.tables import Home
from opengenome_assets.storage.vacuum import kept_versions, vacuum
from opengenome_assets_tests.corpora import Corpus, failure, keep_up, write_files
from opengenome_assets_tests.object_store import BUCKET, object_store
from opengenome_assets_tests.processes import REPOSITORY, free_port
from opengenome_assets_tests.storage.numbers import NAME, commit, compact, content, held

pytestmark = pytest.mark.long

SHORT = 1.5  # seconds to live


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, object_store(patch) as uri:
        yield uri


@pytest.fixture(params=["folder", "file URI", "object store"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "object store":
        return f"{request.getfixturevalue('bucket')}/{tmp_path.name}"
    return str(tmp_path) if request.param == "folder" else f"file://{tmp_path}"


@pytest.fixture
def stored(bucket: str, tmp_path: Path) -> str:
    """A home in the object store."""
    return f"{bucket}/{tmp_path.name}"


def silent(_: str) -> None:
    pass


def entry(home: str) -> LeaseEntry:
    return LeaseEntry.model_validate_json(read_bytes(f"{home}/.lock") or b"")


class Holder:
    """A process that holds a home's lock."""

    def __init__(self, home: str, name: str, time_to_live: float = SHORT) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "opengenome_assets_tests.storage.holder", "hold", home, name, str(time_to_live)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def asked(self) -> str:
        """Return what it says when it has to tell whether it still holds the lock."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.says()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@contextmanager
def holding(home: str, name: str, time_to_live: float = SHORT) -> Iterator[Holder]:
    holder = Holder(home, name, time_to_live)
    try:
        assert holder.says() == "held"
        yield holder
    finally:
        holder.process.kill()
        holder.process.communicate()


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as refusal:
        call()
    return str(refusal.value.response["Error"]["Code"])


def test_the_server_of_these_tests_heeds_the_conditions_of_a_put(bucket: str) -> None:
    s3, place = boto3.client("s3"), {"Bucket": BUCKET, "Key": "premise"}
    first = s3.put_object(**place, Body=b"1", IfNoneMatch="*")["ETag"]
    assert refused(lambda: s3.put_object(**place, Body=b"2", IfNoneMatch="*")) == "PreconditionFailed"
    second = s3.put_object(**place, Body=b"3", IfMatch=first)["ETag"]
    assert second != first
    assert refused(lambda: s3.put_object(**place, Body=b"4", IfMatch=first)) == "PreconditionFailed"
    assert s3.get_object(**place)["Body"].read() == b"3"


@pytest.mark.long
def test_one_writer_at_a_time_and_the_other_is_told_for_whom_it_waits(home: str) -> None:
    told: list[str] = []
    entered = threading.Event()

    def wait() -> float:
        with only_writer(home, "run B", told.append, time_to_live=60) as lease:
            entered.set()
            assert lease.held
            lease.refuse_lost()
            return time.monotonic()

    with ThreadPoolExecutor(1) as threads:
        with only_writer(home, "run A", told.append, time_to_live=3) as lease:
            waiting = threads.submit(wait)
            assert not entered.wait(4.5 if home.startswith("s3://") else 1)  # longer than it lives unless renewed
            assert lease.held
            lease.refuse_lost()
            released = time.monotonic()
        assert waiting.result(30) >= released
    assert told == [f"{home} is in use: waiting for run A to end"]


def test_the_lease_is_free_at_once_after_an_error(stored: str) -> None:
    with pytest.raises(ZeroDivisionError), only_writer(stored, "run A", silent):
        raise ZeroDivisionError
    assert entry(stored).state == "free"
    with only_writer(stored, "run B", pytest.fail):
        assert (entry(stored).holder, entry(stored).time_to_live) == ("run B", 60)


@pytest.mark.parametrize(("kind", "least"), [("folder", 0), ("object store", SHORT * 2 / 3)])
@pytest.mark.long
def test_a_killed_holder_frees_the_home(bucket: str, tmp_path: Path, kind: str, least: float) -> None:
    home = f"{bucket}/killed" if kind == "object store" else str(tmp_path)
    told: list[str] = []
    with holding(home, "run A") as holder:
        holder.signal(signal.SIGKILL)
        holder.process.wait()
        killed = time.monotonic()
        with only_writer(home, "run B", told.append, time_to_live=60):
            assert least <= time.monotonic() - killed < 30  # the holder's time to live counts, not the other's
    assert told == [f"{home} is in use: waiting for run A to end"] * (kind == "object store")


@pytest.mark.long
def test_a_holder_that_was_paused_for_too_long_is_told_that_it_lost_the_lease(stored: str) -> None:
    with holding(stored, "run A") as paused:
        assert paused.asked() == "still held"
        paused.signal(signal.SIGSTOP)
        with only_writer(stored, "run B", silent) as lease:
            paused.signal(signal.SIGCONT)
            words = paused.asked()
            assert words.startswith(f"run A has lost the lease on {stored}: run B has taken it.")
            assert words.endswith("Start the work again: a retry helps")
            lease.refuse_lost()
            paused.process.communicate("")
            assert paused.process.returncode == 0
            assert (entry(stored).holder, entry(stored).state) == ("run B", "held")  # not released by run A
            lease.refuse_lost()


@pytest.mark.long
def test_a_holder_that_was_paused_and_that_nobody_waited_for_holds_it_still(stored: str) -> None:
    with holding(stored, "run A") as paused:
        paused.signal(signal.SIGSTOP)
        time.sleep(2 * SHORT)
        paused.signal(signal.SIGCONT)
        assert paused.asked() == "still held"


@pytest.mark.slow
def test_of_many_processes_that_count_under_the_lock_none_loses_a_number(stored: str) -> None:
    with holding(stored, "dead", 1) as holder:  # so that the first to count has to take a lease that expired
        holder.signal(signal.SIGKILL)
    command = [sys.executable, "-m", "opengenome_assets_tests.storage.holder", "count", stored, "run", "20", "5"]
    processes = [subprocess.Popen(command, cwd=REPOSITORY) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert read_bytes(f"{stored}/counter") == b"20"


@pytest.mark.long
def test_an_expired_lease_goes_to_one_of_those_who_wait(stored: str) -> None:
    with holding(stored, "dead", 1) as holder:
        holder.signal(signal.SIGKILL)
    inside, most = 0, 0
    guard = threading.Lock()

    def enter(number: int) -> None:
        nonlocal inside, most
        with only_writer(stored, f"run {number}", silent, time_to_live=20):
            with guard:
                inside, most = inside + 1, max(most, inside + 1)
            time.sleep(0.05)
            with guard:
                inside -= 1

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(enter, range(4)))
    assert (inside, most) == (0, 1)


def test_what_somebody_else_wrote_there_is_waited_for_as_if_it_were_a_lease(stored: str) -> None:
    write_bytes(f"{stored}/.lock", b"not a lease")
    told: list[str] = []
    with only_writer(stored, "run A", told.append, time_to_live=1):
        assert entry(stored).holder == "run A"
    assert told == [f"{stored} is in use: waiting for an unknown holder to end"]


def test_a_lease_object_that_was_removed_is_a_lost_lease(stored: str) -> None:
    with only_writer(stored, "run A", silent) as lease:
        boto3.client("s3").delete_object(Bucket=BUCKET, Key=f"{stored.removeprefix(f's3://{BUCKET}/')}/.lock")
        with pytest.raises(LostLeaseError, match=r"run A has lost the lease .* somebody has removed .*/\.lock"):
            lease.refuse_lost()
        assert not lease.held


@pytest.mark.parametrize("answer", [OSError("no answer"), None])
def test_a_renewal_that_arrives_while_its_answer_does_not_is_no_loss(
    stored: str, monkeypatch: pytest.MonkeyPatch, answer: OSError | None
) -> None:
    swap = ConditionalObject.swap
    failing = [True]

    def lossy(self: ConditionalObject, content: bytes, expected: State) -> State | None:
        state = swap(self, content, expected)
        if failing.pop() if failing else False:
            if answer:
                raise answer
            return None  # as when the client sends the request again
        return state

    with only_writer(stored, "run A", silent) as lease:
        monkeypatch.setattr(ConditionalObject, "swap", lossy)
        if answer:
            with pytest.raises(OSError, match="no answer"):
                lease.refuse_lost()
        lease.refuse_lost()
        assert lease.held
    assert entry(stored).state == "free"
    assert not failing


def test_while_the_store_does_not_answer_the_holder_does_not_go_on(
    stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with only_writer(stored, "run A", silent, time_to_live=0.5) as lease:
        with monkeypatch.context() as patch:

            def away(*_: object) -> None:
                raise OSError("the store is away")

            patch.setattr(ConditionalObject, "swap", away)
            with pytest.raises(OSError, match="the store is away"):
                lease.refuse_lost()
            time.sleep(0.6)
            assert not lease.held
        lease.refuse_lost()  # nobody has taken it in the meantime
        assert lease.held


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler, dict[str, bytes]], None]) -> Iterator[str]:
    """Serve something that is not quite an object store; yield its address."""
    objects: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self, objects)

        do_PUT = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.send_header("Last-Modified", "Sat, 28 Nov 2026 00:00:00 GMT")
    handler.end_headers()
    handler.wfile.write(body)


def problem(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}.</Message></Error>".encode()


def store_of(heeded: set[str], status: int = 412, **headers: str) -> Callable[..., None]:
    """An object store that heeds only these conditions, and answers them so."""

    def answer(handler: BaseHTTPRequestHandler, objects: dict[str, bytes]) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if handler.command == "PUT":
            if any(handler.headers.get(name) for name in heeded) and (status == 501 or handler.path in objects):
                reply(handler, status, problem("PreconditionFailed" if status == 412 else "NotImplemented"))
                return
            objects[handler.path] = body
        if handler.path in objects or handler.command != "GET":
            tag = headers or {"ETag": f'"{hash(objects.get(handler.path)):x}"'}
            reply(handler, 200, objects.get(handler.path, b"") if handler.command == "GET" else b"", **tag)
        else:
            reply(handler, 404, problem("NoSuchKey"))

    return answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (store_of(set()), "it ignores If-None-Match"),
        (store_of({"If-None-Match"}), "it ignores If-Match"),
        (store_of({"If-None-Match"}, status=501), "501 Not Implemented"),
        (store_of(set(), Server="bare"), "ETag Header missing"),
    ],
)
def test_a_store_without_conditional_put_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[..., None], reason: str
) -> None:
    with serving(answer) as address:
        use(monkeypatch, address)
        with pytest.raises(UnconditionalStoreError) as refusal, only_writer("s3://other/home", "run A", silent):
            pytest.fail("went on without a lock")
    words = str(refusal.value)
    assert words.startswith("s3://other/home/.lock: the object store has no conditional put (")
    assert reason in words
    assert words.endswith("a retry does not help")


def test_a_scheme_that_is_of_no_object_store_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(UnconditionalStoreError, match=r"hdfs://host/home/\.lock: .* has no conditional put"),
        only_writer("hdfs://host/home", "run A", silent),
    ):
        pytest.fail("went on without a lock")


def use(patch: pytest.MonkeyPatch, address: str) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }.items():
        patch.setenv(name, value)


def told_by(home: str) -> str:
    with pytest.raises(OSError, match=f"^{home}/.lock: ") as error, only_writer(home, "run A", silent):
        pytest.fail("went on without a lock")
    words = str(error.value)
    assert "\n" not in words
    return words


def test_a_store_that_cannot_be_reached_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, f"http://127.0.0.1:{free_port()}")
    words = told_by("s3://other/home")
    assert "could not be asked" in words
    assert "Check the address and the credentials in the environment" in words
    assert "AWS_ENDPOINT_URL" in words
    assert words.endswith("a retry can help")


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.long
def test_credentials_that_are_refused_are_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    def answer(handler: BaseHTTPRequestHandler, _: dict[str, bytes]) -> None:
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        reply(handler, status, problem("AccessDenied"))

    with serving(answer) as address:
        use(monkeypatch, address)
        words = told_by("s3://other/home")
    assert "the object store refused the request" in words
    assert "AWS_SECRET_ACCESS_KEY" in words
    assert words.endswith("a retry does not help")


@pytest.mark.long
def test_a_bucket_that_is_not_there_is_told_in_a_sentence(bucket: str) -> None:
    assert "has no such bucket" in told_by("s3://nowhere/home")


@pytest.mark.long
def test_the_lease_object_tells_people_who_holds_it(stored: str) -> None:
    with only_writer(stored, "run A", silent):
        found = json.loads(read_bytes(f"{stored}/.lock") or b"")
    assert set(found) == {"state", "holder", "id", "renewal", "time_to_live", "renewed"}


@pytest.mark.slow
@pytest.mark.parametrize("action", ["commit", "compact", "vacuum"])
def test_a_run_that_lost_the_lease_commits_and_removes_nothing(stored: str, action: str) -> None:
    @dg.asset
    def late(home: dg.ResourceParam[Home]) -> None:
        commit(home, range(3))
        commit(home, [1, 2])
        write_bytes(f"{stored}/.lock", b"another holder's")
        if action == "commit":
            commit(home, [2])
        elif action == "compact":
            compact(home)
        else:
            now = datetime.now(UTC) + timedelta(days=1)
            vacuum(home.table(NAME), kept_versions(home, now, [])[NAME], now)

    result = dg.materialize([late], resources={"home": HomeResource(uri=stored)}, raise_on_error=False)
    assert f"has lost the lease on {stored}: somebody has taken it" in failure(result)
    assert "LostLeaseError" in failure(result)
    home = Home(stored)
    assert (content(home), content(home, 0)) == (held(1, 2), held(0, 1, 2))
    assert home.table(NAME).history().newest == 1


FILES = {f"{'ab'[n % 2]}/{n}.fa": f">s{n}\n{'ACGTTGCA' * (n + 1)}GGNA\n>t{n}\n{'CAT' * (n + 3)}\n" for n in range(4)}
SELECTION = "*shard_stats,rejected_records"


def rows(made: Corpus) -> dict[str, object]:
    """The rows of every table but those that name the home."""
    return {name: made.home.table(name).read().to_pylist() for name in made.home.names() if name != "raw_fasta"}


@pytest.mark.slow
def test_two_runs_and_an_upkeep_at_once_leave_what_one_run_alone_makes(
    stored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where a home in an object store keeps what has to lie in files
    write_files(tmp_path / "fasta", FILES)
    reference = Corpus(Home(str(tmp_path / "home")), str(tmp_path / "fasta"))
    reference.materialize(SELECTION)
    made = [Corpus(Home(stored), reference.source) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        runs = [threads.submit(each.materialize, SELECTION) for each in made[:2]]
        packing = threads.submit(keep_up, made[2], retention_days=0)
        results = [run.result() for run in runs]
        packing.result()
    assert rows(made[0]) == rows(reference)
    reused = sorted(made[0].metadata(result, "sequence_shards")["files_reused"] for result in results)
    assert reused == [0, 4]
    keep_up(made[0], retention_days=0)
    again = made[0].materialize(SELECTION)
    assert rows(made[0]) == rows(reference)
    assert made[0].metadata(again, "sequence_shards")["files_reused"] == 4
    assert made[0].metadata(again, "shard_stats")["shards_reused"] == 4


@pytest.mark.long
def test_a_file_system_without_locks_is_told_with_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:  # as Lustre does that is mounted without them
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(OSError, match="Mount it with them") as caught,
        only_writer(str(tmp_path), "a", silent),
    ):
        pass
    assert caught.value.filename == str(tmp_path)
