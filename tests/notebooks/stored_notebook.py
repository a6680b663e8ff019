"""A notebook file as it lies on disk: its cells, their tags and their outputs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from metalearn_lib.course.running.notebook import NOT_RUN


@dataclass(frozen=True)
class Cell:
    """One cell of a stored notebook."""

    number: int
    kind: str
    source: str
    metadata: dict[str, Any]
    outputs: list[dict[str, Any]]
    count: int | None

    @property
    def tags(self) -> set[str]:
        return set(self.metadata.get("tags", []))

    @property
    def runs(self) -> bool:
        return self.kind == "code" and bool(self.source.strip()) and not self.tags & NOT_RUN

    def texts(self) -> Iterator[str]:
        """All readable text of the outputs."""
        for output in self.outputs:
            yield from ("".join(output.get(key, "")) for key in ("text", "evalue"))
            yield from ("".join(value) for kind, value in output.get("data", {}).items() if kind.startswith("text/"))


@dataclass(frozen=True)
class StoredNotebook:
    """A notebook file as it lies on disk."""

    path: Path

    @cached_property
    def raw(self) -> dict[str, Any]:
        raw: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return raw

    @cached_property
    def cells(self) -> list[Cell]:
        return [
            Cell(i, c["cell_type"], "".join(c["source"]), c["metadata"], c.get("outputs", []), c.get("execution_count"))
            for i, c in enumerate(self.raw["cells"], 1)
        ]

    @property
    def is_chapter(self) -> bool:
        return re.match(r"\d\d_", self.path.name) is not None
