"""Requests to a home in many languages, written as templates by people and expanded here.   Chapter 11

Templates, not what people said: `turn (on|off) [the] lights` stands for four sentences. They are drawn at random, with
a seed, from what Home Assistant's parser (hassil) makes of them.
"""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

from .catalog import CorpusError
from .corpus import Corpus, same_text_key
from .fetch import paths
from .readers.messages import normal
from .translations import code_of, expected

OPEN = "…"  # stands for what only a home knows: the names of its rooms and lamps
_DEEPEST = 40  # rules that name each other


def expanded(
    name: str, *, languages: Iterable[str] | None = None, per_intent: int = 40, seed: int = 0, tries: int = 10
) -> Corpus:
    """Up to `per_intent` different sentences of each intent and language: labels are intents, domains are languages.

    Drawn with `seed`, each language and intent by itself, `tries` draws at most for each sentence wanted. Names of
    rooms and devices, which no template knows, are written "…", the same in every language. Raises CorpusError for a
    language that is not there, and where hassil is not installed.   Chapter: 11
    """
    entry = expected(name, "templates")
    try:
        import hassil
    except ImportError:
        raise CorpusError(f"{name!r} needs the package hassil: python -m pip install hassil") from None
    (archive,) = paths(name).values()
    pattern = entry.member("language")
    texts, labels, domains = list[str](), list[str](), list[str]()
    with zipfile.ZipFile(archive) as opened:
        members = {code_of(_code(member, pattern)): member for member in opened.namelist() if _code(member, pattern)}
        chosen = sorted(members) if languages is None else list(languages)
        if missing := sorted(set(chosen).difference(members)):
            raise CorpusError(f"{name!r} has no language {missing[0]!r}; it has {', '.join(sorted(members))}")
        for language in chosen:
            written = hassil.Intents.from_dict(json.loads(opened.read(members[language])))
            for intent, sentences in _drawn(written, per_intent, tries, f"{seed} {language}"):
                texts += sentences
                labels += [intent] * len(sentences)
                domains += [language] * len(sentences)
    return Corpus(name, texts, labels, domains, licence=entry.licence, citation=entry.citation)


def _code(member: str, pattern: str) -> str:
    """The language of a member of the archive, as its file is called; "" for one that is no language."""
    before, _, after = pattern.partition("*")
    inside = member.removeprefix(before).removesuffix(after)
    return inside.replace("-", "_") if f"{before}{inside}{after}" == member and "/" not in inside else ""


def _drawn(intents: Any, number: int, tries: int, seed: str) -> Iterable[tuple[str, list[str]]]:
    for name, intent in sorted(intents.intents.items()):
        rng, found = random.Random(f"{seed} {name}"), dict[str, str]()
        templates = [
            (
                sentence.expression,
                {**intents.expansion_rules, **data.expansion_rules},
                {**intents.slot_lists, **data.slot_lists},
            )
            for data in intent.data
            for sentence in data.sentences
        ]
        for _ in range(number * tries if templates else 0):
            sentence = normal(_said(*rng.choice(templates), rng))
            if sentence and sentence != OPEN:
                found.setdefault(same_text_key(sentence), sentence)
            if len(found) == number:
                break
        if found:
            yield name, list(found.values())


def _said(part: Any, rules: Mapping[str, Any], lists: Mapping[str, Any], rng: random.Random, deep: int = 0) -> str:
    """One of the sentences that an expression of hassil stands for."""
    from hassil import expression, intents

    if deep > _DEEPEST:
        raise CorpusError("rules of the templates name each other without end")

    def said(inner: Any) -> str:
        return _said(inner, rules, lists, rng, deep + 1)

    match part:
        case expression.TextChunk():
            return str(part.original_text)
        case expression.Alternative():
            return said(rng.choice(part.items))
        case expression.Permutation():
            return " ".join(said(item) for item in rng.sample(part.items, len(part.items)))
        case expression.Group():
            return "".join(map(said, part.items))
        case expression.RuleReference():
            return said(rules[part.rule_name].expression)
        case expression.ListReference():
            values = lists.get(part.list_name)
            if isinstance(values, intents.TextSlotList) and values.values:
                return said(rng.choice(values.values).text_in)
            if isinstance(values, intents.RangeSlotList):
                return str(rng.choice(list(values.get_numbers())))
            return OPEN
    raise CorpusError(f"hassil reads a template as {type(part).__name__}, which is not known here")
