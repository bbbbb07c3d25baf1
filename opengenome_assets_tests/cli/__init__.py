"""Commands, one module a subject, as in the package."""
