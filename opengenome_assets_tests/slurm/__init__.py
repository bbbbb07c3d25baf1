"""Tests of a real Slurm cluster of two nodes, with Apptainer: ``make test-slurm``."""
