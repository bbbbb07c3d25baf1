"""What stands around the package: the Makefile, the lock and the CI script."""

import os
import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).parents[1]


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # MAKEFLAGS and the like of the `make test` around us are not for the one under test.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def write_script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone in which nothing is installed, in a folder whose name has a space."""
    folder = tmp_path / "my clone"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(REPOSITORY / name, folder)
    return folder


def test_another_python_is_refused_with_a_remedy(clone: Path) -> None:
    python = write_script(clone / "python", "case $1 in --version) echo Python 3.10.4;; *) exit 1;; esac")
    answer = make(clone, "run", f"PYTHON={python.name}", PATH=f"{clone}:{os.environ['PATH']}")
    assert answer.returncode != 0
    assert "Python 3.11, 3.12 or 3.13 is needed, but python is: Python 3.10.4" in answer.stderr
    assert "PYTHON=/path/to/python3.11 make" in answer.stderr
    assert not (clone / ".venv").exists()


def test_a_python_without_venv_is_refused_with_a_remedy(clone: Path) -> None:
    python = write_script(clone / "python", 'case "$2" in *ensurepip*) exit 1;; esac')
    answer = make(clone, "run", PYTHON=python.name, PATH=f"{clone}:{os.environ['PATH']}")
    assert answer.returncode != 0
    assert "apt-get install python3-venv" in answer.stderr


def test_installing_again_does_nothing_until_the_lock_changes(clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    write_script(clone / ".venv" / "bin" / "uv", 'echo "$*" >> uv.log')
    write_script(clone / ".venv" / "bin" / "python", "true")
    log = clone / "uv.log"
    assert make(clone, "install").returncode == 0
    first, second = log.read_text().splitlines()
    assert "--require-hashes --constraints requirements.lock" in first
    assert "--offline --no-deps --no-build-isolation --editable ." in second
    assert make(clone, "install").returncode == 0
    assert len(log.read_text().splitlines()) == 2
    later = (clone / ".venv" / "installed").stat().st_mtime + 1
    os.utime(clone / "requirements.lock", (later, later))
    assert make(clone, "install").returncode == 0
    assert len(log.read_text().splitlines()) == 4


def test_java_is_installed_only_where_there_is_none(clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    write_script(clone / ".venv" / "bin" / "uv", 'case "$*" in *"--extra java"*) touch jdk;; esac')
    write_script(clone / ".venv" / "bin" / "python", "[ -e jdk ] && echo Java 25")
    answer = make(clone, "install")
    assert (answer.returncode, (clone / "jdk").exists()) == (0, True)
    assert answer.stdout.endswith("Java 25\n")
    (clone / "jdk").unlink()
    write_script(clone / ".venv" / "bin" / "python", "echo Java 17")
    assert make(clone, "install").returncode == 0
    assert not (clone / "jdk").exists()


def test_where_no_java_can_be_had_the_reason_is_shown(clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    write_script(clone / ".venv" / "bin" / "uv", 'case "$*" in *"--extra java"*) exit 1;; esac')
    write_script(clone / ".venv" / "bin" / "python", "echo 'Install Java 17 or newer' >&2; exit 1")
    answer = make(clone, "install")
    assert answer.returncode != 0
    assert "Install Java 17 or newer" in answer.stderr


def test_a_run_gets_its_settings_and_its_failure_is_that_of_make(clone: Path) -> None:
    commands = clone / ".venv" / "bin"
    commands.mkdir(parents=True)
    write_script(commands / "uv", "true")
    write_script(commands / "python", "true")
    write_script(commands / "opengenome", 'echo "$* $DAGSTER_HOME $OPENGENOME_SOURCE"')
    answer = make(clone, "run", "OPENGENOME_SOURCE=/genomes")
    assert answer.returncode == 0
    assert answer.stdout.endswith(f"\nrun {clone} /genomes\n")
    write_script(commands / "opengenome", "echo it failed >&2; exit 1")
    answer = make(clone, "run")
    assert answer.returncode != 0
    assert answer.stderr.splitlines()[0] == "it failed"


def test_help_lists_every_target_that_a_user_types() -> None:
    listed = re.findall(r"^make (\S+)", make(REPOSITORY, "help").stdout, re.MULTILINE)
    assert {"run", "ui", "test", "lock", "clean", "install", "help"} <= set(listed)


def test_secrets_are_made_once_and_can_be_reached_by_their_owner_alone(clone: Path) -> None:
    assert make(clone, "secrets").returncode == 0
    folder = clone / "secrets"
    made = {file.name: file.read_text() for file in folder.iterdir()}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [made.pop(name) for name in ("hub_token", "search_token", "smtp_password")] == ["", "", ""]
    assert set(made) == {"postgres_password", "spark_secret", "webhook_secret"}
    assert all(re.fullmatch("[0-9a-f]{64}", secret) for secret in made.values())
    assert len(set(made.values())) == 3
    assert make(clone, "secrets").returncode == 0
    assert {name: (folder / name).read_text() for name in made} == made


def test_the_lock_holds_all_that_is_asked_for_by_hash() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    lock = (REPOSITORY / "requirements.lock").read_text()
    blocks = re.split(r"\n(?=[a-z])", lock)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
    locked: dict[str, list[str]] = {}
    for block in blocks:
        pin = Requirement(block.partition("\n")[0].rstrip(" \\"))
        if pin.marker is None or pin.marker.evaluate({"python_full_version": "3.11.0", "sys_platform": "linux"}):
            locked.setdefault(pin.name, []).append(str(pin.specifier).removeprefix("=="))
    asked = [
        *project["project"]["dependencies"],
        *(line for lines in project["project"]["optional-dependencies"].values() for line in lines),
        *(line for lines in project["dependency-groups"].values() for line in lines),
        *project["build-system"]["requires"],
    ]
    for requirement in map(Requirement, asked):
        (version,) = locked[requirement.name]
        assert version in requirement.specifier, f"run make lock: {requirement} is locked at {version}"


def test_the_lock_names_no_place_to_download_from() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text()
    assert "://" not in lock
    assert "--index" not in lock
    assert "--find-links" not in lock


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of commands, to be all of PATH: what .ci/run itself uses, and a make that logs."""
    for name in ("bash", "dirname", "grep"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    write_script(tmp_path / "make", f'echo "make $* CI=$CI" >> {tmp_path}/log; [ ! -e {tmp_path}/broken ]')
    write_script(tmp_path / "apt-get", f'echo "apt-get $*" >> {tmp_path}/log')
    tools = "jellyfish kmc cusp codonw prodigal chromium bwa sourmash hamronize helm"
    tools += " prometheus prometheus-alertmanager pg_createcluster samtools bcftools fastp aragorn barrnap multiqc"
    tools += " apache2 nginx node npm"
    for name in ("python3", "java", *tools.split()):
        write_script(tmp_path / name, "true")
    return tmp_path


def ci(machine: Path) -> int:
    """Run the script in a clone that has nothing beside it."""
    clone = machine / "beside" / "clone"
    (clone / ".ci").mkdir(parents=True, exist_ok=True)
    shutil.copy(REPOSITORY / ".ci" / "run", clone / ".ci")
    shutil.copy(REPOSITORY / "Makefile", clone)
    return subprocess.run([clone / ".ci" / "run"], env={"PATH": str(machine)}, timeout=60).returncode


def test_ci_installs_only_what_is_missing(machine: Path) -> None:
    assert ci(machine) == 0
    assert (machine / "log").read_text().splitlines() == ["make test CI=true", "make test-compose CI=true"]
    (machine / "log").unlink()
    (machine / "cusp").unlink()
    write_script(machine / "python3", "exit 1")
    assert ci(machine) == 0
    update, install, test = (machine / "log").read_text().splitlines()[:3]
    assert update.startswith("apt-get update")
    assert install.endswith(" python3-venv emboss")
    assert test == "make test CI=true"


def test_ci_fails_with_the_tests(machine: Path) -> None:
    (machine / "broken").touch()
    assert ci(machine) != 0
    assert (machine / "log").read_text() == "make test CI=true\n"


def needed(distribution: str) -> set[str]:
    """Names of a distribution and of all that it needs here, without the needs of extras."""
    found: set[str] = set()
    waiting = [distribution]
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            needs = map(Requirement, metadata.requires(name) or [])
            waiting += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


def test_the_image_states_the_licences_of_what_it_holds() -> None:
    """A dependency under another copyleft licence changes what the image may be passed on as."""
    under_gpl = {}
    for name in needed("opengenome-assets"):
        about = metadata.metadata(name)
        classifiers = [line for line in about.get_all("Classifier") or [] if line.startswith("License ::")]
        licence = "; ".join(filter(None, [about.get("License-Expression"), *classifiers]))
        if re.search(r"\bA?GPL|(?<!Lesser )General Public License", licence):
            under_gpl[name] = licence
    assert under_gpl == {"pyrodigal": "GPL-3.0-or-later"}
    label = 'LABEL org.opencontainers.image.licenses="Apache-2.0 AND GPL-3.0-or-later"'
    assert label in (REPOSITORY / "docker/Dockerfile").read_text().splitlines()
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"  # the wheel holds only the package
