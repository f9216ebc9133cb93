"""Fixtures of this room."""

from stored_runs import store

__all__ = ["store"]
