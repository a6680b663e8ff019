"""The small worlds of the learners' tests serve the writers, too."""

from tests.learners.conftest import halves, puzzle, small_vectors, vectors_of, words  # noqa: F401
