"""The exercises of a chapter: how they are read, the pattern they follow, copies without solutions."""

from .cells import Exercise, exercises

__all__ = ["Exercise", "exercises"]
