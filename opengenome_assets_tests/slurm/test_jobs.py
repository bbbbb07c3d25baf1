"""Jobs of a user on two nodes: the sample, and faults in the middle of a run."""

import os
import pwd
import re
import shlex
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.processes import wait_for
from opengenome_assets_tests.same import assert_same
from opengenome_assets_tests.slurm.cluster import NODES, Job, Slurm, cluster, idle, network_of_its_own
from opengenome_assets_tests.slurm.conftest import SELECT

SIZE = ("--nodes", "2", "--cores", "1", "--memory", "2500M", "--time", "20")


def scratch_of(tmp_path: Path) -> str:
    """Make the folder that stands for the nodes' own disks."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return str(folder)


def assert_left_nothing(job: Job, scratch: str) -> None:
    """Assert that no process, no secret and no file on a node's disk is left."""
    assert job.processes() == []
    assert list(Path(scratch).iterdir()) == []
    assert list(job.home.glob("slurm/*/secrets")) == []


def test_the_command_line_works_in_the_sif(sif: Path) -> None:
    answer = subprocess.run(["apptainer", "exec", sif, "opengenome", "--help"], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("Usage: opengenome")
    assert re.search(r"^  slurm ", answer.stdout, re.MULTILINE)
    assert "quote" not in answer.stderr


def test_a_job_can_be_written_inside_the_sif(sif: Path, slurm: Slurm, tmp_path: Path) -> None:
    command = ["opengenome", "slurm", "submit", *SIZE, "--image", str(sif), "--dry-run"]
    inside = ["apptainer", "exec", "--env", f"OPENGENOME_HOME={tmp_path}", str(sif), *command]
    assert slurm.run(*inside) == slurm.run(*command, OPENGENOME_HOME=str(tmp_path))


@pytest.fixture(scope="module")
def sample(slurm: Slurm, sif: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, str]:
    """Every asset of the sample on two nodes; the job, and the nodes' disk."""
    folder = tmp_path_factory.mktemp("sample")
    scratch = scratch_of(folder)
    job = slurm.submit(folder / "home", sif, *SIZE, "--scratch", scratch)
    job.completed()
    return job, scratch


def test_every_table_of_the_sample_is_that_of_a_local_run_bit_for_bit(
    sample: tuple[Job, str], local_sample: Home
) -> None:
    assert_same(Home(str(sample[0].home)), local_sample)


def test_each_node_had_an_executor_and_the_end_was_clean(sample: tuple[Job, str]) -> None:
    job, scratch = sample
    for node in ("n1", "n2"):
        assert "Asked to launch executor" in (job.folder() / f"worker-{node}.log").read_text()
    assert not re.search("Killed|error|CANCELLED", job.log()), job.log()
    assert f"Tables at {job.home}" in job.log()
    assert_left_nothing(job, scratch)


def scanning(slurm: Slurm, sif: Path, genomes: Path, tmp_path: Path) -> tuple[Job, str]:
    """Submit a job on the corpus, and wait until it is in the middle of its scan."""
    scratch = scratch_of(tmp_path)
    job = slurm.submit(
        tmp_path / "home", sif, *SIZE, "--select", SELECT, "--scratch", scratch, OPENGENOME_SOURCE=str(genomes)
    )

    def under_way() -> bool:
        assert job.state()["JobState"] in {"PENDING", "RUNNING"}, job.log()
        return len(job.parts("kmer_")) >= 4

    wait_for(under_way, "part of the scan", 900, every=0.1)
    assert len(job.parts("kmer_")) < 60
    return job, scratch


def test_a_killed_worker_costs_its_tasks_only_and_starts_again(
    slurm: Slurm, sif: Path, genomes: Path, local_genomes: Home, tmp_path: Path
) -> None:
    job, scratch = scanning(slurm, sif, genomes, tmp_path)
    os.kill(job.worker("n2"), signal.SIGKILL)
    job.completed()
    assert "the worker of n2 ended; another starts" in (job.folder() / "worker-n2.log").read_text()
    assert_same(Home(str(job.home)), local_genomes)
    assert_left_nothing(job, scratch)


def test_a_lost_node_costs_its_tasks_only(
    slurm: Slurm, sif: Path, genomes: Path, local_genomes: Home, tmp_path: Path
) -> None:
    job, _ = scanning(slurm, sif, genomes, tmp_path)
    slurm.run("scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=lost")
    wait_for(lambda: job.state()["NodeList"] == "n1", "job without its second node", 60, every=0.5)
    job.completed()
    state = job.state()
    assert (state["NodeList"], state["Restarts"]) == ("n1", "0")
    assert_same(Home(str(job.home)), local_genomes)
    assert job.processes() == []
    # The next job needs it.
    slurm.run("scontrol", "update", "NodeName=n2", "State=RESUME", ok=False)
    wait_for(lambda: len(idle(slurm)) == len(NODES), "return of the node", 60, every=0.5)


@pytest.mark.parametrize(
    "interruption",
    [
        pytest.param(
            "sbatch --partition=urgent --nodes=2 --exclusive --output=/dev/null --wrap='sleep 5'", id="pre-empted"
        ),
        pytest.param("scancel --batch --signal=USR1 {job}", id="at its time limit"),
    ],
)
def test_a_requeued_job_goes_on_from_the_parts_that_are_finished(
    slurm: Slurm, sif: Path, genomes: Path, local_genomes: Home, tmp_path: Path, interruption: str
) -> None:
    job, scratch = scanning(slurm, sif, genomes, tmp_path)
    finished = {part: part.stat().st_mtime_ns for part in job.parts("kmer_")}
    slurm.run(*shlex.split(interruption.format(job=job.number)))
    wait_for(lambda: job.state()["Restarts"] == "1", f"requeue: {job.log()}", 120, every=0.5)
    # Slurm holds a requeued job back for two minutes.
    slurm.run("scontrol", "update", f"JobId={job.number}", "StartTime=now", ok=False)
    job.completed()
    assert {part: part.stat().st_mtime_ns for part in finished} == finished
    assert_same(Home(str(job.home)), local_genomes)
    assert_left_nothing(job, scratch)


def test_a_cancelled_job_ends_at_once_and_leaves_nothing(
    slurm: Slurm, sif: Path, genomes: Path, tmp_path: Path
) -> None:
    job, scratch = scanning(slurm, sif, genomes, tmp_path)
    slurm.run("scancel", job.number)
    assert job.ended(60) == "CANCELLED"
    wait_for(lambda: not job.processes(), "end of all processes", 30, every=0.5)
    assert_left_nothing(job, scratch)


def test_tasks_of_an_array_and_jobs_of_one_home_run_one_after_the_other(
    slurm: Slurm, sif: Path, tmp_path: Path
) -> None:
    size = ("--nodes", "1", "--cores", "1", "--memory", "2500M", "--time", "20", "--scratch", scratch_of(tmp_path))
    first = slurm.submit(tmp_path / "home", sif, *size, "--select", "key:raw_fasta", "--select", "key:sequence_shards")
    later = slurm.submit(tmp_path / "home", sif, *size, "--select", "key:kmer_")
    later.completed(1800)
    assert Home(str(tmp_path / "home")).names() != []
    times = [
        slurm.run("scontrol", "--oneliner", "show", "job", number)
        for number in (f"{first.number}_0", f"{first.number}_1", later.number)
    ]
    spans = [re.search(r"StartTime=(\S+) EndTime=(\S+)", shown) for shown in times]
    assert all("JobState=COMPLETED" in shown for shown in times), times
    assert spans[0][2] <= spans[1][1]
    assert spans[1][2] <= spans[2][1]


def test_a_user_makes_tables_without_root_and_without_a_network_on_the_nodes(
    sif: Path, folder: Path, local_sample: Home
) -> None:
    """The user has no Python package, so the SIF writes the script, as docs/slurm.md says."""
    assert Path("/dev/fuse").stat().st_mode & 0o006 == 0o006, "Apptainer needs it: chmod 666 /dev/fuse, as udev does"
    user, tables = pwd.getpwnam("nobody"), ("raw_fasta", "sequence_shards", "kmer_")
    place, home, scratch = (folder / "user", folder / "user" / "home", folder / "user" / "scratch")
    folder.chmod(0o755)
    for each in (place, home, home / "slurm", scratch):
        each.mkdir()
        os.chown(each, user.pw_uid, user.pw_gid)
    with network_of_its_own() as inside, cluster(folder / "alone", inside) as alone:
        become = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
        theirs = replace(alone, prefix=(*inside, *become, "env", "--chdir", str(place), f"HOME={place}"))
        assert not theirs.run("ip", "route", "show", "default")
        select = " or ".join(f"key:{name}" for name in tables)
        command = ("submit", *SIZE, "--image", str(sif), "--scratch", str(scratch), "--select", select, "--dry-run")
        script = theirs.run(
            "apptainer", "exec", "--env", f"OPENGENOME_HOME={home}", str(sif), "opengenome", "slurm", *command
        )
        job = Job(theirs, theirs.run("sbatch", "--parsable", text=script).strip(), home)
        job.completed(1800)
        assert {path.stat().st_uid for path in home.rglob("*")} == {user.pw_uid}
        assert_same(Home(str(home)), local_sample, *tables)
        assert_left_nothing(job, str(scratch))
