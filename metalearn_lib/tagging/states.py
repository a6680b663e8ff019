"""Vectors of marked places: the states of a pretrained Transformer by layer, and what a word shows without context.

Chapter 10
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from metalearn_lib.corpora import Span
from metalearn_lib.corpora.bio import word_places
from metalearn_lib.encoders import Encoder, Frozen, Transformer
from metalearn_lib.encoders.cache import EncodingCache
from metalearn_lib.modules import identity
from metalearn_lib.tagging.marks import mark, unmark


class MarkedStates(Encoder):
    """The states of a frozen Transformer over the marked stretches of a text, side by side.   Chapter: 10

    `layer`: 0 is the word-piece embeddings, then each layer; a stretch is the mean of its word pieces. `marks`: how
    many places every text has marked. `neighbours=True` adds the states of the words before and after each of them
    (zeros at the ends of the text), `sentence=True` the mean over the text. A stretch of signs that the tokenizer drops
    is the zero vector. States have half precision and are kept on disk, if the Transformer has a cache; a sentence in
    which every token is marked in turn is read once. Raises ValueError for a text of more word pieces than the model
    reads: nothing is cut, because a tag would be lost.
    """

    def __init__(
        self,
        transformer: Transformer,
        *,
        layer: int = 3,
        marks: int = 1,
        neighbours: bool = False,
        sentence: bool = False,
        progress: bool = True,
    ) -> None:
        super().__init__()
        layers = int(transformer.model.config.num_hidden_layers)
        if not transformer.frozen:
            raise ValueError(
                "MarkedStates: the Transformer trains; give Transformer(frozen=True) and train what is on top"
            )
        if not 0 <= layer <= layers:
            raise ValueError(f"MarkedStates(layer={layer}): this model has the layers 0 … {layers}")
        if marks not in (1, 2):
            raise ValueError(f"MarkedStates(marks={marks}): a text has 1 or 2 marked places")
        self.transformer, self.layer, self.marks = transformer, layer, marks
        self.neighbours, self.sentence, self.progress = neighbours, sentence, progress
        self.hidden = int(transformer.model.config.hidden_size)
        self.dim = self.hidden * (marks * (3 if neighbours else 1) + sentence)
        self._longest = min(getattr(transformer.tokenizer, "model_max_length", 512), 512)
        self._cache: EncodingCache | None = None

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        if self._cache is None and self.transformer.cache is not None:
            self._cache = EncodingCache(f"{identity(self)}-marked-{self.layer}")
        if self._cache is None:
            return self._states(texts).float()
        return self._cache.get(texts, self._states, dim=self.dim, progress=self.progress).float()

    def _states(self, texts: Sequence[str], *, batch: int = 32) -> Tensor:
        """Vectors [n, D] of marked texts, half precision."""
        read = [unmark(text) for text in texts]
        if wrong := [text for text, (_, places) in zip(texts, read, strict=True) if len(places) != self.marks]:
            raise ValueError(f"MarkedStates(marks={self.marks}): other marks in {wrong[0][:60]!r}")
        out = torch.zeros(len(texts), self.dim)
        rows_of: dict[str, list[int]] = {}
        for row, (plain, _) in enumerate(read):
            rows_of.setdefault(plain, []).append(row)
        encoded = self.transformer.tokenizer(list(rows_of), return_offsets_mapping=True)
        longest = max(map(len, encoded["input_ids"]))
        if longest > self._longest:
            plain = max(rows_of, key=len)
            raise ValueError(
                f"MarkedStates: {plain[:60]!r} … has up to {longest} word pieces, the model reads {self._longest}; "
                "split the text"
            )
        order = sorted(range(len(rows_of)), key=lambda number: -len(encoded["input_ids"][number]))
        sentences = list(rows_of.items())
        for start in range(0, len(order), batch):
            numbers = order[start : start + batch]
            states = self._run([encoded["input_ids"][number] for number in numbers])  # [B, L, H]
            for number, tokens in zip(numbers, states, strict=True):
                plain, rows = sentences[number]
                offsets = torch.tensor(encoded["offset_mapping"][number])
                words = word_places(plain) if self.neighbours else []
                for row in rows:
                    out[row] = self._vector(tokens[: len(offsets)], offsets, read[row][1], words, len(plain))
        return out.half()

    @torch.inference_mode()
    def _run(self, ids: Sequence[Sequence[int]]) -> Tensor:
        device = self.get_buffer("_where").device
        model = self.transformer.model
        lengths = torch.tensor([len(one) for one in ids])
        padded = torch.full((len(ids), int(lengths.max())), model.config.pad_token_id or 0)
        for row, one in enumerate(ids):
            padded[row, : len(one)] = torch.tensor(one)
        mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long()
        found = model(input_ids=padded.to(device), attention_mask=mask.to(device), output_hidden_states=True)
        return found.hidden_states[self.layer].cpu()

    def _vector(
        self, states: Tensor, offsets: Tensor, places: Sequence[tuple[int, int]], words: list[tuple[int, int]], end: int
    ) -> Tensor:
        """The states [L, H] and places [L, 2] of word pieces → one vector [D]."""
        stretches = []
        for start, stop in places:
            before = max((word for word in words if word[1] <= start), default=(0, 0))
            behind = min((word for word in words if word[0] >= stop), default=(end, end))
            stretches += [(start, stop), before, behind] if self.neighbours else [(start, stop)]
        stretches += [(0, end)] * self.sentence
        return torch.cat([_mean(states, offsets, start, stop) for start, stop in stretches])


def _mean(states: Tensor, offsets: Tensor, start: int, stop: int) -> Tensor:
    inside = (offsets[:, 0] < stop) & (offsets[:, 1] > start) & (offsets[:, 0] < offsets[:, 1])
    return states[inside].mean(0) if bool(inside.any()) else torch.zeros(states.shape[1])


class Alone(Frozen):
    """The marked word read by itself, not in its sentence: the control that knows no context.   Chapter: 10

    Model, layer and pooling are those of the `MarkedStates` of one mark that it is given; where these lay the states
    of the neighbours beside it, they are read by themselves as well. The vectors are as long.
    """

    def __init__(self, encoder: MarkedStates) -> None:
        if not isinstance(encoder, MarkedStates) or encoder.marks != 1 or encoder.sentence:
            raise ValueError("Alone reads single words; give it MarkedStates(…) with one mark and no sentence")
        super().__init__(encoder)
        self._hidden, self._around = encoder.hidden, encoder.neighbours

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        read = [self._words(text) for text in texts]
        numbers = {word: number for number, word in enumerate(dict.fromkeys(word for words in read for word in words))}
        vectors = torch.zeros(len(numbers), self._hidden)
        if real := [word for word in numbers if word]:
            found = super()._prepare([mark(word, [Span(0, len(word))]) for word in real])
            vectors[[numbers[word] for word in real]] = found[:, : self._hidden]
        return torch.stack([vectors[[numbers[word] for word in words]].flatten() for words in read])

    def _words(self, text: str) -> list[str]:
        """The marked word, and the words before and after it; "" at an end of the text."""
        plain, ((start, stop), *_) = unmark(text)
        around = [plain[:start].split()[-1:], plain[stop:].split()[:1]] if self._around else []
        return [plain[start:stop], *(words[0] if words else "" for words in around)]


class Shapes(Encoder):
    """What a marked word looks like and where it stands, twelve numbers 0 … 1: the control that reads no word.

    Share of digits, capitals and other signs than letters; length; first letter capital; ends with a comma or a full
    stop; is the first, the second or the last word; place from the front and from the back.   Chapter: 10
    """

    dim = 12

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([_shape(text) for text in texts])


def _shape(text: str) -> list[float]:
    plain, ((start, stop), *_) = unmark(text)
    word, before, behind = plain[start:stop], len(plain[:start].split()), len(plain[stop:].split())
    share = [sum(map(test, word)) / len(word) for test in (str.isdigit, str.isupper, lambda sign: not sign.isalnum())]
    return [
        *share, min(len(word), 12) / 12, float(word[0].isupper()), float(word[-1] == ","), float(word[-1] == "."),
        float(before == 0), float(before == 1), float(behind == 0), 1 / (1 + before), 1 / (1 + behind),
    ]  # fmt: skip
