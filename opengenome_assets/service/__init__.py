"""The HTTP application: search's API and page, and what holds for every request.

Belongs here: routes, guards, problems, headers, metrics, and the page. Does not belong here: searching (``search``).
"""
