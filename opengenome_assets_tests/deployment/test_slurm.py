"""What ``opengenome slurm submit`` writes; a cluster runs it in ``make test-slurm``."""

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from opengenome_assets.cli import main
from opengenome_assets.deployment.slurm import BODY, SlurmJob, folders_named
from opengenome_assets_tests.processes import REPOSITORY


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("OPENGENOME_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path / "my home"))
    (tmp_path / "image.sif").touch()
    return tmp_path / "my home"


def submit(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["slurm", "submit", "--image", str(home.parent / "image.sif"), *arguments])


def options(script: str) -> str:
    """The options of the head: those before the first command, as sbatch reads them."""
    head = script.partition("\nexport ")[0].splitlines()
    return " ".join(line.removeprefix("#SBATCH ") for line in head[1:])


def exported(script: str, *names: str) -> list[str]:
    """What a shell that runs the head has in some variables."""
    head = script.partition("\nset -euo pipefail")[0]
    ask = "".join(f'\nprintf "%s\\0" "${{{name}-unset}}"' for name in names)
    environment = {"PATH": os.environ["PATH"]}
    answer = subprocess.run(["bash", "-c", head + ask], capture_output=True, text=True, check=True, env=environment)
    return answer.stdout.split("\0")[:-1]


def test_the_script_has_the_size_the_settings_and_the_body(home, monkeypatch):
    monkeypatch.setenv("OPENGENOME_SOURCE", str(home.parent / "gen'omes*.fa"))
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    script = submit(home, "--nodes", "4", "--cores", "16", "--dry-run", "--", "--partition=long", "-A", "a b").output
    said = options(script)
    assert "--nodes=4 --ntasks-per-node=1 --cpus-per-task=16 --mem=48G" in said
    assert "--requeue --open-mode=append --no-kill --signal=B:USR1@180" in said
    assert "--partition=long -A 'a b'" in said
    assert f"--output='{home}/slurm/%j.log'" in said
    assert "--array" not in said
    assert "hf_mine" not in script
    assert script.endswith(BODY.read_text().partition("\n")[2])
    wanted = ("OPENGENOME_HOME", "OPENGENOME_SOURCE", "OPENGENOME_SELECT", "OPENGENOME_BIND", "OPENGENOME_KS")
    assert exported(script, *wanted) == [
        str(home), str(home.parent / "gen'omes*.fa"), "*", str(home.parent), "unset"
    ]  # fmt: skip


def test_several_selections_are_tasks_of_an_array_one_at_a_time(home):
    script = submit(home, "--select", "tag:group=corpus", "--select", "*b", "--dry-run").output
    assert "--array=0-1%1" in options(script)
    assert "%A_%a.log" in options(script)
    assert exported(script, "OPENGENOME_SELECT") == ["tag:group=corpus\n*b"]


def test_jobs_of_one_home_have_one_name_of_which_slurm_runs_one_at_a_time():
    first, again, other = (
        SlurmJob(Path("/i.sif"), home, nodes=nodes, cores=1, memory="1G", time="1")
        for home, nodes in (("/a", 1), ("/a", 2), ("/b", 1))
    )
    assert first.name == again.name != other.name
    assert f"--job-name={first.name} --dependency=singleton" in first.script()


@pytest.mark.parametrize(
    ("variables", "arguments", "expected"),
    [
        ({"OPENGENOME_HOME": "s3://bucket/home"}, [], "expected a folder that all nodes share"),
        ({"OPENGENOME_HOME": "/a,b"}, [], "/a,b: Apptainer cannot bind a path with one of ,:"),
        ({}, ["--select", "a\nb"], "expected one line of Dagster's selection syntax"),
        ({}, ["--nodes", "0"], "not in the range x>=1"),
        ({"OPENGENOME_KS": "99"}, [], "OPENGENOME_KS is '99'"),
    ],
)
def test_what_cannot_be_a_job_is_refused(home, monkeypatch, variables, arguments, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    answer = submit(home, *arguments, "--dry-run")
    assert answer.exit_code != 0
    assert expected in answer.output


def fake_sbatch(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    script = folder / "sbatch"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_the_job_is_sent_and_its_log_can_be_written(home, monkeypatch):
    fake_sbatch(home.parent / "bin", f"cat > '{home.parent}/sent'; echo '42;cluster'", monkeypatch)
    answer = submit(home)
    assert answer.exit_code == 0, answer.output
    assert f"Job 42 in the queue. Log: {home}/slurm/42.log\n" in answer.output
    assert (home.parent / "sent").read_text() == submit(home, "--dry-run").output
    assert (home / "slurm").is_dir()


def test_a_refusal_by_slurm_is_an_error_of_the_command(home, monkeypatch):
    fake_sbatch(home.parent / "bin", "echo 'sbatch: error: invalid partition' >&2; exit 1", monkeypatch)
    answer = submit(home)
    assert answer.exit_code == 1
    assert "sbatch refused the job: sbatch: error: invalid partition" in answer.output


def test_without_slurm_the_command_says_where_to_go(home, monkeypatch):
    monkeypatch.setenv("PATH", str(home.parent))
    answer = submit(home)
    assert answer.exit_code == 1
    assert "There is no sbatch here" in answer.output


def test_a_missing_image_is_told_before_the_job_waits_in_the_queue(home):
    (home.parent / "image.sif").unlink()
    answer = submit(home)
    assert answer.exit_code == 1
    assert "image.sif: expected the SIF" in answer.output


def test_folders_that_settings_name_are_bound(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "x.fa").touch()
    values = {"source": f"hf://datasets/x/*,{tmp_path}/a/x.fa,{tmp_path}/a/b,{tmp_path}/home/y,6,7", "q": "sample"}
    (tmp_path / "home").mkdir()
    assert folders_named(values, str(tmp_path / "home")) == [f"{tmp_path}/a", f"{tmp_path}/a/b"]


def test_the_body_is_a_script_of_its_own():
    assert (REPOSITORY / "deploy/slurm/opengenome.sbatch").resolve() == BODY
    subprocess.run(["bash", "-n", BODY], check=True)
    bare = subprocess.run(["bash", BODY], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    assert bare.returncode != 0
    assert "OPENGENOME_SIF: is not set: the SIF made of the image" in bare.stderr


def test_no_variable_of_the_image_has_a_backquote_which_ends_apptainer_s_reading_of_them():
    dockerfile = (REPOSITORY / "docker/Dockerfile").read_text()
    variables = dockerfile.partition("\nENV PATH=")[2].partition("\n# ")[0]
    assert "PYTHONWARNINGS" in variables
    assert "`" not in variables
