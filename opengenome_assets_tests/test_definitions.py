"""The whole of the definitions, as Dagster's servers load them."""

import gc

from opengenome_assets.definitions import build_defs


def test_a_code_server_can_load_everything():
    """A server refuses, for instance, a job and an operation of one name, which no single command looks at."""
    repository = build_defs().get_repository_def()
    repository.load_all_definitions()
    assert {"corpus_full", "upkeep"} <= set(repository.job_names)


def test_what_was_loaded_is_not_looked_through_for_garbage_in_every_step():
    assert gc.get_freeze_count() > 100_000
