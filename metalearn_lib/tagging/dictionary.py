"""The floor of every tagger: a word has the tag that it had in the support set.   Chapter 10"""

from __future__ import annotations

from collections import Counter, defaultdict

import torch
from torch import Tensor

from metalearn_lib.corpora.bio import OUTSIDE
from metalearn_lib.episodes import Episodes
from metalearn_lib.learners import Learner
from metalearn_lib.tagging.episodes import TagEpisodes
from metalearn_lib.tagging.marks import marked


class Dictionary(Learner):
    """Log shares of the tags that a word, whatever its capitals, has in the support set; it reads no context.

    A word that is not there is outside or, in an episode without "O", has the most frequent tag. A share of `doubt` is
    spread over all tags.   Chapter: 10
    """

    def __init__(self, *, doubt: float = 0.01) -> None:
        super().__init__()
        if not 0 < doubt < 1:
            raise ValueError(f"Dictionary(doubt={doubt}): must be a share, 0 < doubt < 1")
        self.doubt, self.name = doubt, "dictionary"

    def predict(self, episodes: Episodes) -> Tensor:
        if not isinstance(episodes, TagEpisodes) or episodes.pool is None:
            raise ValueError("Dictionary tags tokens; give episodes of a TagSampler or PublishedTags")
        words = episodes.pool.texts
        known: dict[str, Counter[int]] = defaultdict(Counter)
        for x, y in zip(episodes.support_x[0].tolist(), episodes.support_y[0].tolist(), strict=True):
            known[marked(words[x]).lower()][y] += 1
        outside = OUTSIDE in episodes.tags
        usual = episodes.tags.index(OUTSIDE) if outside else int(episodes.support_y[0].mode().values)
        shares = torch.full((1, episodes.query_x.shape[1], episodes.n_way), self.doubt / episodes.n_way)
        for row, x in enumerate(episodes.query_x[0].tolist()):
            counts = known.get(marked(words[x]).lower()) or Counter({usual: 1})
            for y, count in counts.items():
                shares[0, row, y] += (1 - self.doubt) * count / counts.total()
        return shares.log().to(episodes.query_x.device)
