"""Tests of opengenome_assets.search."""
