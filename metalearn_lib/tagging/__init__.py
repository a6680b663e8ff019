"""Marks inside texts from a few examples: tags of tokens, roles of words, relations of two names.   Chapter 10

A token in its sentence is a text with a mark, and a sentence an episode of tokens, so that the learners of chapters 03
and 04 tag: `span_scores(learner, sampler, {"BIO": Transitions(), …})`. Relations are few-shot classification of views
(`relation_view`) as anywhere in the course.
"""

from metalearn_lib.tagging.dictionary import Dictionary
from metalearn_lib.tagging.episodes import PublishedTags, Sentences, TagEpisodes, TagSampler, TagTasks, masked
from metalearn_lib.tagging.marks import mark, marked, unmark
from metalearn_lib.tagging.relations import relation_view
from metalearn_lib.tagging.roles import NearestNoun, Syntax, nearest_noun
from metalearn_lib.tagging.span_f1 import span_f1, span_scores, tag
from metalearn_lib.tagging.states import Alone, MarkedStates, Shapes
from metalearn_lib.tagging.transitions import Transitions, tag_sequences, viterbi

__all__ = [
    "Alone", "Dictionary", "MarkedStates", "NearestNoun", "PublishedTags", "Sentences", "Shapes", "Syntax",
    "TagEpisodes", "TagSampler", "TagTasks", "Transitions", "mark", "marked", "masked", "nearest_noun", "relation_view",
    "span_f1", "span_scores", "tag", "tag_sequences", "unmark", "viterbi",
]  # fmt: skip
