"""Tests of opengenome_assets.lineage."""
