"""The corpora that the look is tried on."""

from opengenome_assets_tests.corpus.plots.conftest import sample, twenty, unusual

__all__ = ["sample", "twenty", "unusual"]
