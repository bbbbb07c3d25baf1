"""Tests of opengenome_assets.corpus.plots."""
