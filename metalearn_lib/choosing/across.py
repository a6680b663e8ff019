"""Learned from one corpus, tested on another: CLINC150's intents are known, BANKING77's and HWU64's are new.

The setting of H. Zhang et al. (2022), "Fine-tuning pre-trained language models for few-shot intent detection", NAACL:
500 tasks of 5 classes with 2 or 10 shots and 5 queries, so that our rows stand beside theirs.   Chapter 12
"""

from __future__ import annotations

from dataclasses import dataclass

from metalearn_lib import corpora
from metalearn_lib.choosing.measure import TaskShape
from metalearn_lib.choosing.recipes import FLOORS, RECIPES, Recipe
from metalearn_lib.corpora import Corpus, same_text_key

KNOWN = "clinc150"
EPISODES = 500
SHAPE = TaskShape(ways=5, queries=5, shots=(2, 10))


@dataclass(frozen=True)
class Across:
    """All classes of CLINC150 are known: the valid part of a published split chooses, the two others train.

    CLINC150 has a domain about banking and requests to an assistant, so classes resemble those of the test. The
    `in_both` texts that stand in both corpora are taken out of CLINC150.
    """

    tested_on: str
    in_both: int
    splits: tuple[str, ...] = ("01",)
    windows: int = 1

    @property
    def about(self) -> str:
        """What the caption of a table says."""
        return f"learned from CLINC150 but for {self.in_both} texts that stand in both, tested on all classes"

    @property
    def remark(self) -> str:
        """What the note of every row says."""
        return (
            f"learned from CLINC150, which has a banking domain and an assistant's requests of its own; {self.in_both} "
            "texts that stand in both were left out of it"
        )

    def parts(self, name: str, split: str) -> tuple[Corpus, Corpus, Corpus]:
        """See `Source`."""
        test, known = corpora.load(self.tested_on), corpora.load(KNOWN)
        texts = {same_text_key(text) for text in test.texts}
        fresh = known.subset(i for i, text in enumerate(known.texts) if same_text_key(text) not in texts)
        one, valid, other = fresh.split_classes(split)
        return fresh.only([*one.classes, *other.classes], f"{KNOWN}/train and test"), valid, test


# Whose classes are known → on whose classes it is tested.
ACROSS = {
    "clinc150→banking77": Across("banking77", in_both=5),
    "clinc150→hwu64": Across("hwu64", in_both=110),
}
LEARNERS: dict[str, Recipe] = {
    name: RECIPES[name]
    for name in (
        *FLOORS, "recommended", "recommended, MiniLM", "MiniLM linear map", "MiniLM centroid", "MiniLM centred",
        "MiniLM, logistic regression",
    )
}  # fmt: skip
