"""Tests of what runs inside Spark workers."""
