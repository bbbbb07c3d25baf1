"""Tests of what assets need from outside."""
