"""A group of one asset, with a pass, a check and a figure: what a new group needs beside one line in ``groups.py``."""
