"""Tests of opengenome_assets.framework."""
