"""The bare step loop under every trainer."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class History:
    """What happened: meta-loss of each step, validation scores (of a regression: errors) and after which steps."""

    losses: list[float] = field(default_factory=list)
    valid_steps: list[int] = field(default_factory=list)
    valid_scores: list[float] = field(default_factory=list)
    stopped_early: bool = False
    lower_is_better: bool = False

    @property
    def best_step(self) -> int | None:
        """The step whose weights were kept; None without validation."""
        return self.valid_steps[self.best] if self.valid_scores else None

    @property
    def best(self) -> int:
        """Which validation was the best one, the first of equals."""
        return self.valid_scores.index((min if self.lower_is_better else max)(self.valid_scores))
