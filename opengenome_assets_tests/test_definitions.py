"""The whole of the definitions, as Dagster's servers load them."""

import gc
import runpy
from collections import Counter

import dagster as dg
import pytest

from opengenome_assets import definitions, groups
from opengenome_assets.cli.steps import NAME_WIDTH
from opengenome_assets.definitions import build_defs

READABLE = 10  # assets in a box of Dagster's graph


@pytest.fixture(scope="module")
def graph():
    """Every asset of the platform."""
    return build_defs().resolve_asset_graph()


def test_a_code_server_can_load_everything():
    """A server refuses, for instance, a job and an operation of one name, which no single command looks at."""
    repository = build_defs().get_repository_def()
    repository.load_all_definitions()
    assert {"corpus_full", "upkeep"} <= set(repository.job_names)


def test_what_was_loaded_is_not_looked_through_for_garbage_in_every_step():
    gc.unfreeze()
    runpy.run_path(definitions.__file__)
    assert gc.get_freeze_count() > 100_000


def test_the_corpus_stands_in_boxes_that_a_graph_can_show(graph):
    boxes = Counter(graph.get(key).group_name for key in graph.get_all_asset_keys())
    assert set(boxes) == {
        *("intake", "kmers", "codons_and_genes", "search", "figures_and_report"),
        *("proteins", "variants"),
    }
    assert max(number for box, number in boxes.items() if box not in ("proteins", "variants")) <= READABLE


@pytest.mark.parametrize("group", groups.GROUPS, ids=lambda group: group.name)
def test_a_group_is_selected_by_its_tag_and_by_its_owner(graph, group):
    names = {key.to_user_string() for key in dg.AssetSelection.from_string(f"tag:group={group.name}").resolve(graph)}
    assert {spec.name for spec in group.tables if hasattr(spec, "schema")} <= names
    owned = dg.AssetSelection.from_string(f'owner:"team:{group.name}"').resolve(graph)
    assert {key.to_user_string() for key in owned} == names


def test_every_asset_says_of_what_kind_it_is_and_whom_to_ask(graph):
    for key in graph.get_all_asset_keys():
        asset = graph.get(key)
        assert asset.kinds, key
        assert asset.owners, key
        assert asset.description, key


def test_a_line_of_a_run_has_room_for_every_name(graph):
    names = [key.to_user_string() for key in graph.get_all_asset_keys()]
    assert max(map(len, names)) == NAME_WIDTH
