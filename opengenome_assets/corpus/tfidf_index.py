"""tfidf_index and tfidf_terms: what similarity search reads.

Belongs here: keeping every sequence's 6-mer counts, and in how many sequences each 6-mer occurs. Does not belong here:
searching, and the formula of TF-IDF (``kernels/tfidf.py``). Neither table holds a weight that depends on the whole
corpus, so one new file adds rows and changes none.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np

from opengenome_assets.corpus import GROUP
from opengenome_assets.corpus.passes.profiles import INDEX_SCHEMA, TERMS_SCHEMA, profile_sequences
from opengenome_assets.engine.spark import Spark
from opengenome_assets.framework.making import emitted
from opengenome_assets.framework.scans import SHARDS, Scan, scan_shards
from opengenome_assets.kernels.tfidf import inverse_document_frequency
from opengenome_assets.storage.tables import Tables, describe

CODE_VERSION = "1"
KINDS = {"deltalake", "spark"}


@dg.multi_asset(
    group_name=GROUP,
    can_subset=True,
    specs=[
        dg.AssetSpec(
            "tfidf_terms",
            deps=[SHARDS],
            code_version=CODE_VERSION,
            kinds=KINDS,
            metadata={"dagster/column_schema": describe(TERMS_SCHEMA)},
            description="In how many sequences of each shard every 6-mer occurs. Summed over the shards it gives the "
            "inverse document frequency ln((N + 1) / (df + 1)) + 1.",
        ),
        dg.AssetSpec(
            "tfidf_index",
            deps=[SHARDS],
            code_version=CODE_VERSION,
            kinds=KINDS,
            metadata={"dagster/column_schema": describe(INDEX_SCHEMA)},
            description="The 6-mer counts of every sequence: what similarity search reads. With tfidf_terms they give "
            "the same TF-IDF vectors as scikit-learn's TfidfVectorizer over character 6-grams.",
        ),
    ],
)
def tfidf_index(
    context: dg.AssetExecutionContext, tables: Tables, spark: Spark
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
    """Count the 6-mers of each sequence of the shards not indexed before."""
    scan = Scan(
        "indexing sequences",
        profile_sequences,
        {"tfidf_index": INDEX_SCHEMA, "tfidf_terms": TERMS_SCHEMA},
        CODE_VERSION,
    )
    results = scan_shards(context, tables, spark, scan)
    frequency, sequences = document_frequency(tables)
    idf = inverse_document_frequency(frequency, sequences)
    facts: dict[str, Any] = {
        "sequences": sequences,
        "terms_seen": int(np.count_nonzero(frequency)),
        "idf_range": f"{idf.min():.4f} to {idf.max():.4f}",
    }
    for name, result in results.items():
        yield emitted(context, tables, name, result._replace(metadata={**facts, **(result.metadata or {})}))


def document_frequency(tables: Tables, version: int | None = None) -> tuple[np.ndarray, int]:
    """Return in how many sequences of the corpus each 6-mer occurs, shape (4096,), int64, and how many there are.

    Of the newest version of tfidf_terms unless another is named.
    """
    terms = tables.read("tfidf_terms", version=version)
    frequency = np.zeros(4096, np.int64)
    for row in terms["document_frequency"]:
        frequency += row.values.to_numpy()
    return frequency, sum(terms["sequences"].to_pylist())
