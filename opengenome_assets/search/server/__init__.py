"""The search server: the HTTP API, the search page, and what keeps a server standing.

``app`` puts it together; ``routes`` answers with the models of ``answers``; ``following`` keeps the newest index at
hand; ``guards`` turns away what is too much or not allowed, in the words of ``problems``; ``metrics`` counts;
``headers`` tells browsers how to treat it all; ``settings`` are the server's own; ``page/`` is what a browser gets. How
anything is searched belongs to the modules above this room, which know nothing of HTTP.
"""
