"""Jobs: work that people send, and its results.

Belongs here: where jobs are kept, their states, who works on them, and their results. Does not belong here: what a kind
of job takes and makes, which its group declares (``framework/jobs.py``). Nothing here knows a group.
"""
