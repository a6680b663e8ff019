"""Matching networks (Vinyals et al., 2016): a query takes the labels of the support examples it attends to.

Chapter 04
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from metalearn_lib.encoders import Encoder
from metalearn_lib.episodes import Episodes
from metalearn_lib.errors import check_options
from metalearn_lib.learners.base import MetaLearner
from metalearn_lib.learners.metric import pairwise


class Matching(MetaLearner):
    """Cosine attention over the support examples (eq. 1); logits are log probabilities [T, N·Q, N].   Chapter: 04

    `full_context=True` adds full context embeddings (their section 2.1.2 and appendix A): a bidirectional LSTM reads
    the support set, an attention LSTM rereads it for each query. The LSTM reads the set in an order, so the result
    depends a little on it: a known blemish of the method. The scale of the cosines is learned.
    """

    def __init__(self, encoder: Encoder, *, full_context: bool = False, reading_steps: int = 3) -> None:
        super().__init__()
        check_options("Matching", reading_steps=reading_steps)
        self.encoder, self.full_context, self.reading_steps = encoder, full_context, reading_steps
        self.name = "matching, full context" if full_context else "matching"
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())
        if full_context:
            self.reader = nn.LSTM(encoder.dim, encoder.dim, batch_first=True, bidirectional=True)
            self.attender = nn.LSTMCell(2 * encoder.dim, encoder.dim)

    def predict(self, episodes: Episodes) -> Tensor:
        support = self.encoder(episodes.support_x, episodes.pool)  # [T, N·K, D]
        query = self.encoder(episodes.query_x, episodes.pool)  # [T, N·Q, D]
        if self.full_context:
            support = self._read_support(support)
            query = self._read_query(query, support)
        attention = (-self.log_scale.exp() * pairwise(query, support, "cosine")).softmax(-1)  # [T, N·Q, N·K]
        votes = attention @ one_hot(episodes.support_y, episodes.n_way).to(attention.dtype)  # [T, N·Q, N]
        return votes.clamp(min=1e-9).log()

    def _read_support(self, support: Tensor) -> Tensor:
        """g(x, S): each support vector plus the two LSTM states at its place."""
        forward, backward = self.reader(support)[0].chunk(2, dim=-1)
        context: Tensor = support + forward + backward
        return context

    def _read_query(self, query: Tensor, support: Tensor) -> Tensor:
        """f(x, S): an LSTM that attends to the support set before each step; the query is its input every time."""
        tasks, queries, dim = query.shape
        memory = support.repeat_interleave(queries, dim=0)  # [T·M, N·K, D]
        x = query.reshape(-1, dim)
        hidden, cell = x, torch.zeros_like(x)
        for _ in range(self.reading_steps):
            attention = (memory @ hidden[..., None]).squeeze(-1).softmax(-1)  # [T·M, N·K]
            read = (attention[:, None] @ memory).squeeze(1)  # [T·M, D]
            step, cell = self.attender(torch.cat([x, read], dim=-1), (hidden, cell))
            hidden = step + x
        return hidden.reshape(tasks, queries, dim)
