"""The whole of the definitions, as Dagster's servers load them."""

from opengenome_assets.definitions import build_defs


def test_a_code_server_can_load_everything():
    """A server refuses, for instance, a job and an operation of one name, which no single command looks at."""
    repository = build_defs().get_repository_def()
    repository.load_all_definitions()
    assert {"corpus_full", "upkeep"} <= set(repository.job_names)
