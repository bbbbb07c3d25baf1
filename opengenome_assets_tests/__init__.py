"""Tests of opengenome_assets, mirroring the package."""
