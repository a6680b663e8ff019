"""The same corpus with less of each text, so that rows which read different lengths can be compared on equal terms.

Chapters 04, 09
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from weakref import WeakKeyDictionary

from metalearn_lib.corpora import Corpus
from metalearn_lib.corpora.annotations import spans
from metalearn_lib.errors import check_options

# Where a text has the tokens of `tokenize`, which itself forgets their places: a punctuation mark, or what stands
# between white space and marks. `"` is no token, `;`, `:` and the line break of HTML separate tokens.
_BREAK = r'<"*b"*r"* "*/"*>'
_MARK = r"[.,!?()']"
_WORD = rf"""(?:(?!{_BREAK})[^\s.,!?()';:])+"""
_TOKEN = re.compile(rf"{_BREAK}|({_MARK}|{_WORD})", re.IGNORECASE)

_views: WeakKeyDictionary[Corpus, dict[int, Corpus]] = WeakKeyDictionary()


def truncated(corpus: Corpus, *, words: int) -> Corpus:
    """The corpus with each text cut after its first `words` tokens, as `tokenize` counts them; all else is the same.

    The kept part is the text as it was written (case, white space), so that a Transformer reads natural text; a
    text that is not longer stays as it is. Made once for a corpus object and a number of words, so that an encoder
    prepares it once. Raises ValueError for `words` < 1, or where a marked place would be cut off.   Chapter: 04

    >>> pets = Corpus("pets", ["Our cat, Tom, purrs.", "A dog"], ["cat", "dog"])
    >>> truncated(pets, words=4).texts
    ['Our cat, Tom', 'A dog']
    """
    check_options("truncated", words=words)
    views = _views.setdefault(corpus, {})
    if words not in views:
        texts = [_cut(text, words) for text in corpus.texts]
        for number, annotation in enumerate(corpus.annotations or ()):
            if any(span.end > len(texts[number]) for span in spans(annotation)):
                raise ValueError(
                    f"truncated(words={words}): text {number} of {corpus.name!r} has marks behind its first {words} "
                    "words; keep more words, or leave the marks out: dataclasses.replace(corpus, annotations=None)"
                )
        views[words] = replace(corpus, name=f"{corpus.name}, {words} word{'s' * (words > 1)}", texts=texts)
    return views[words]


def _cut(text: str, words: int) -> str:
    ends = list(islice(_ends(text), words + 1))
    return text if len(ends) <= words else text[: ends[words - 1]]


def _ends(text: str) -> Iterator[int]:
    """Where each token ends."""
    for match in _TOKEN.finditer(text):
        if (match[1] or "").strip('"'):
            yield match.end()
