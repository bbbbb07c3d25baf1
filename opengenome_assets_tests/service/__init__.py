"""The search server: its API, its guards, its page, and the process that a user starts."""
