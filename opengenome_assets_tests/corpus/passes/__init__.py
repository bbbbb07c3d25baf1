"""Tests of opengenome_assets.corpus.passes."""
