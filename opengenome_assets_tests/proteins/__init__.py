"""Tests of opengenome_assets.proteins."""
