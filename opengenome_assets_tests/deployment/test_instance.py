"""The instance that dagster.yaml describes keeps everything under the home."""

import shutil
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.origin import RepositoryPythonOrigin
from dagster._core.workspace.load import location_origins_from_yaml_paths

from opengenome_assets.framework.private import JobPythonOrigin, ModuleCodePointer
from opengenome_assets.settings import SettingsError

REPOSITORY = Path(__file__).parents[2]


@dg.asset
def counted(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    context.log.info("counting")
    return dg.MaterializeResult(metadata={"rows": 3})


@pytest.mark.slow
def test_lineage_is_kept_under_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path / "home"))
    with dg.DagsterInstance.from_config(str(REPOSITORY)) as instance:
        assert dg.materialize([counted], instance=instance).success
        assert not instance.telemetry_enabled
    with dg.DagsterInstance.from_config(str(REPOSITORY)) as instance:
        event = instance.get_latest_materialization_event(counted.key)
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["rows"].value == 3
    written = {path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {("home", "dagster")}


def test_a_process_given_the_instance_finds_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path / "home"))
    with dg.DagsterInstance.from_config(str(REPOSITORY)) as instance:
        reference = instance.get_ref()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENGENOME_HOME")
    with dg.DagsterInstance.from_ref(reference) as instance:
        assert instance.storage_directory() == str(tmp_path / "home" / "dagster" / "storage")


@pytest.mark.parametrize("home", [None, "s3://bucket/corpus"])
def test_without_a_local_home_it_lies_in_the_current_folder(
    home: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENGENOME_HOME", raising=False)
    if home:
        monkeypatch.setenv("OPENGENOME_HOME", home)
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    with dg.DagsterInstance.from_config(".") as instance:
        assert instance.storage_directory() == str(tmp_path / "data" / "dagster" / "storage")


def test_only_the_home_is_needed_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENGENOME_KS", "six")
    with dg.DagsterInstance.from_config(str(REPOSITORY)) as instance:
        assert instance.storage_directory() == str(tmp_path / "home" / "dagster" / "storage")


def test_a_home_that_cannot_be_a_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path / "file"))
    with pytest.raises(SettingsError, match=r"file/dagster: Not a directory. Free space there, make it writable, or"):
        dg.DagsterInstance.from_config(str(REPOSITORY))


def test_a_run_of_the_command_line_belongs_to_the_location_that_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path / "home"))
    job = dg.Definitions(assets=[counted]).resolve_implicit_global_asset_job_def()
    (shown,) = location_origins_from_yaml_paths([str(REPOSITORY / "workspace.yaml")])
    module = ModuleCodePointer("opengenome_assets.definitions", "defs", None)
    origin = JobPythonOrigin(job.name, RepositoryPythonOrigin(sys.executable, module))
    with dg.DagsterInstance.from_config(str(REPOSITORY)) as instance:
        typed = instance.create_run_for_job(job, job_code_origin=origin)
        in_process = instance.create_run_for_job(job)
        (found,) = instance.get_runs(
            dg.RunsFilter(tags={".dagster/repository": f"__repository__@{shown.location_name}"})
        )
    assert found.run_id == typed.run_id
    assert found.remote_job_origin is not None
    assert found.remote_job_origin.job_name == job.name
    assert in_process.remote_job_origin is None  # no module holds its job
