"""Tests of the kernels, each against a slow and obvious twin, and against outside tools."""
