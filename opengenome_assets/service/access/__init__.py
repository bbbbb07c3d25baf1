"""Access: who may ask the server for what, and the record of who did.

Belongs here: tokens and their scopes, and the audit log. Does not belong here: refusing requests (``guards.py``), and
limits (``settings.py``).
"""
