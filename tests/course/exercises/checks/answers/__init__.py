"""What learners hand in, one module a chapter: right answers of other kinds, and wrong ones that no value can tell.

NAMES: what the answer cells of the notebook use of their chapter. RIGHT: (check, answer). WRONG: (check, answer, the
words that its message must hold). HIDDEN: the same for answers that pass the shown cases.
"""
