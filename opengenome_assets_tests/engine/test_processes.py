"""Processes: order, errors, and the end of every process, however a map ends."""

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from opengenome_assets.engine import Engine
from opengenome_assets.engine.processes import Processes, WorkerError, WorkerLostError, WorkersNotStartedError
from opengenome_assets_tests.engine import units
from opengenome_assets_tests.processes import REPOSITORY, environment, processes_of, wait_for

pytestmark = pytest.mark.slow

LOG = logging.getLogger("test")
EQUAL: dict[str, Any] = {"label": "testing", "unit": "bases", "log": LOG}


@pytest.fixture(scope="module")
def two():
    with Processes(2, [units.__name__]) as engine:
        yield engine


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A mark in the environment, by which all processes that this test starts are found."""
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path))
    return tmp_path


def others(home: Path) -> list[int]:
    return [pid for pid in processes_of(home) if pid != os.getpid()]


def test_results_come_in_the_order_of_the_work_and_the_log_says_what_was_done(two, caplog):
    with caplog.at_level(logging.INFO):
        assert two.map(units.square, range(5), weights=[1, 5, 3, 2, 4], **EQUAL) == [0, 1, 4, 9, 16]
    assert "2 processes on this machine" in caplog.text
    assert "testing: 5 of 5 units, 15 of 15 bases" in caplog.text


def test_the_largest_units_start_first(two, tmp_path):
    seconds = [0.1, 0.4, 0.2, 0.3]
    work = [(tmp_path, each) for each in seconds]
    two.map(units.sleep_and_sign, work, weights=[int(10 * each) for each in seconds], **EQUAL)
    started = [float(file.read_text()) for file in sorted(tmp_path.iterdir())]
    assert started[:2] in ([0.4, 0.3], [0.3, 0.4])
    assert started[2:] == [0.2, 0.1]


def test_nothing_and_a_single_unit_and_a_single_worker_need_no_process(home):
    assert Processes(2).map(units.process, [], weights=[], **EQUAL) == []
    assert Processes(2).map(units.process, [0], weights=[1], **EQUAL) == [os.getpid()]
    assert Processes(1).map(units.process, [0, 0], weights=[1, 1], **EQUAL) == [os.getpid()] * 2
    assert others(home) == []


def test_there_are_as_many_workers_as_usable_cores_unless_told_otherwise():
    assert Processes().workers == len(os.sched_getaffinity(0))
    assert Processes(7).workers == 7


def test_modules_are_loaded_once_before_workers_are_forked(two):
    places = [two.map(units.processes, [0] * 4, weights=[1] * 4, **EQUAL) for _ in range(2)]
    flat = [place for some in places for place in some]
    assert len({loaded for loaded, _, _ in flat}) == 1
    assert len({worker for _, worker, _ in flat}) == 4  # two per map
    assert os.getpid() not in {pid for loaded, worker, _ in flat for pid in (loaded, worker)}
    assert {threads for _, _, threads in flat} == {int(os.environ.get("OMP_NUM_THREADS", "1"))}


def test_workers_have_the_kernels_and_not_the_main_module_of_the_caller(two):
    (loaded, _) = two.map(units.modules, [0, 0], weights=[1, 1], **EQUAL)
    assert {"numba", "pandas", "opengenome_assets.kernels.kmers"} <= set(loaded)
    assert {"pytest", "dagster", "pyspark"} & set(loaded) == set()


def test_an_error_is_raised_as_itself_with_the_traceback_of_the_worker(two):
    with pytest.raises(ValueError, match="three is not a number") as caught:
        two.map(units.fail_on_three, [1, 2, 3], weights=[1, 1, 1], **EQUAL)
    assert isinstance(caught.value.__cause__, WorkerError)
    assert 'raise ValueError("three is not a number")' in str(caught.value.__cause__)
    assert two.map(units.square, [3, 4], weights=[1, 1], **EQUAL) == [9, 16]


def test_an_error_that_cannot_be_pickled_is_told_by_name(two):
    with pytest.raises(RuntimeError, match="PickyError: one and two"):
        two.map(units.fail_pickily, [1, 2], weights=[1, 1], **EQUAL)


def test_a_result_that_cannot_be_pickled_is_an_error_of_the_unit(two):
    with pytest.raises(TypeError, match="cannot pickle"):
        two.map(units.give_no_bytes, [1, 2], weights=[1, 1], **EQUAL)


def test_a_worker_that_is_killed_is_named_with_the_signal(two, home):
    with pytest.raises(WorkerLostError, match=r"was killed by SIGKILL within unit \d of 3.*run it again"):
        Processes(2).map(units.die, [1, 2, 3], weights=[1, 1, 1], **EQUAL)
    with pytest.raises(WorkerLostError, match="a worker process ended within unit"):
        Processes(2).map(units.end, [1, 2], weights=[1, 1], **EQUAL)
    assert others(home) == []


def test_a_module_that_is_not_there_is_named(home):
    with pytest.raises(WorkersNotStartedError, match="No module named 'no_such_module'"):
        Processes(2, ["no_such_module"]).map(units.square, [1, 2], weights=[1, 1], **EQUAL)
    assert others(home) == []


def test_no_process_outlives_a_map_unless_the_engine_is_kept(home):
    Processes(2).map(units.square, [1, 2], weights=[1, 1], **EQUAL)
    assert others(home) == []
    with Processes(2) as engine:
        engine.map(units.square, [1, 2], weights=[1, 1], **EQUAL)
        assert len(others(home)) == 1  # the one that workers are forked from
    assert others(home) == []


def test_an_interrupted_map_ends_its_workers_at_once(home):
    timer = threading.Thread(target=interrupt_when, args=(home, 3))
    timer.start()
    with Processes(2) as engine:
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            engine.map(units.sleep, [60.0, 60.0], weights=[1, 1], **EQUAL)
        assert others(home) == []
        assert time.monotonic() - started < 40
        assert engine.map(units.square, [3, 4], weights=[1, 1], **EQUAL) == [9, 16]
    timer.join()


def interrupt_when(home: Path, processes: int) -> None:
    wait_for(lambda: len(others(home)) == processes, "workers")
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)


def test_a_lost_fork_server_is_followed_by_another(home):
    with Processes(2) as engine:
        engine.map(units.square, [1, 2], weights=[1, 1], **EQUAL)
        (server,) = others(home)
        os.kill(server, signal.SIGKILL)
        wait_for(lambda: engine._server is None or not engine._server.alive, "end of the process")
        assert engine.map(units.square, [3, 4], weights=[1, 1], **EQUAL) == [9, 16]


MAPPING = """
import logging
from opengenome_assets.engine.processes import Processes
from opengenome_assets_tests.engine import units
Processes(2).map(units.sleep, [60.0, 60.0], weights=[1, 1], label="", unit="", log=logging.getLogger())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_the_caller_that_is_killed(tmp_path, number):
    caller = subprocess.Popen(
        [sys.executable, "-c", MAPPING],
        cwd=REPOSITORY,
        env=environment(tmp_path),
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_for(lambda: len(processes_of(tmp_path)) == 4, "workers")
    caller.send_signal(number)
    caller.wait()
    wait_for(lambda: not processes_of(tmp_path), "end of all", 10)


def test_no_process_outlives_a_caller_that_is_killed_between_maps(tmp_path):
    kept = MAPPING.replace("Processes(2).map", "engine = Processes(2).__enter__()\nengine.map").replace("60.0", "0.0")
    with subprocess.Popen(
        [sys.executable, "-c", f"{kept}\nprint('done', flush=True)\ninput()"],
        cwd=REPOSITORY,
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == b"done\n"
        assert len(processes_of(tmp_path)) == 2
        caller.kill()
        wait_for(lambda: not processes_of(tmp_path), "end of all", 10)


def test_long_steps_report_what_is_left(two, caplog, monkeypatch):
    monkeypatch.setattr("opengenome_assets.engine.progress.PROGRESS_SECONDS", 0.2)
    with caplog.at_level(logging.INFO):
        two.map(units.sleep, [1.0, 2.0], weights=[10, 30], **EQUAL)
    assert re.search("testing: 1 of 2 units, [13]0 of 40 bases", caplog.text)
    assert "s left" in caplog.text


def test_dagster_takes_the_protocol_for_a_resource_and_any_object_that_has_it(home):
    seen = {}

    @dg.asset
    def squares(context: dg.AssetExecutionContext, engine: dg.ResourceParam[Engine]) -> None:
        seen["squares"] = engine.map(units.square, [3, 4], weights=[1, 1], label="", unit="", log=context.log)
        seen["processes"] = len(others(home))

    @dg.resource
    def kept(_: dg.InitResourceContext):
        with Processes(2) as engine:
            yield engine

    for resource, left in ((Processes(2), 0), (kept, 1)):
        assert dg.materialize([squares], resources={"engine": resource}).success
        assert seen == {"squares": [9, 16], "processes": left}
        assert others(home) == []
