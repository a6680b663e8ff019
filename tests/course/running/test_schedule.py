"""How many chapters run at once, which first, and on how many cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from metalearn_lib.course.running.chapters import Chapter, Execution
from metalearn_lib.course.running.schedule import SPARE_MB, UNKNOWN_MB, Schedule

CHAPTERS = [Execution(Chapter(Path(f"{number:02d}_x.ipynb"))) for number in range(6)]


def schedule(**options: Any) -> Schedule:
    return Schedule(list(CHAPTERS), **{"cores": 2, "memory_mb": 100_000, **options})


def started(made: Schedule) -> list[tuple[str, int]]:
    found = []
    while one := made.start():
        found.append((one[0].name[:2], one[1]))
    return found


def test_as_many_as_cores_each_with_its_share() -> None:
    assert started(schedule()) == [("00", 1), ("01", 1)]
    assert started(schedule(cores=4)) == [("00", 1), ("01", 1), ("02", 1), ("03", 1)]
    assert started(schedule(cores=4, jobs=2)) == [("00", 2), ("01", 2)]
    assert started(schedule(jobs=3)) == [("00", 1), ("01", 1), ("02", 1)]  # asked for: more than cores
    assert started(Schedule(CHAPTERS[:1], cores=4)) == [("00", 4)]


def test_the_longest_first_by_what_was_measured_or_is_said() -> None:
    measured = {"04_x": {"cpu_seconds": 90.0}, "02_x": {"seconds": 50}}
    assert started(schedule(measured=measured)) == [("04", 1), ("02", 1)]
    assert started(schedule(measured=measured, minutes=lambda chapter: 80)) == [("04", 1), ("00", 1)]


def test_memory_is_never_promised_twice() -> None:
    room = SPARE_MB + 2 * UNKNOWN_MB
    assert started(schedule(cores=6, memory_mb=room)) == [("00", 1), ("01", 1)]
    assert len(started(schedule(cores=6, memory_mb=room, measured={"00_x": {"peak_mb": UNKNOWN_MB + 1}}))) == 1
    small = {"03_x": {"peak_mb": 100}}  # one that still fits beside the first is taken before its turn
    assert started(schedule(cores=6, memory_mb=SPARE_MB + UNKNOWN_MB + 100, measured=small)) == [("00", 1), ("03", 1)]
    assert started(schedule(memory_mb=10)) == [("00", 2 // 2)]  # alone, a chapter may take what there is


@given(
    jobs=st.one_of(st.none(), st.integers(1, 8)),
    cores=st.integers(1, 8),
    memory_mb=st.integers(0, 12_000),
    peaks=st.lists(st.integers(1, 4000), min_size=6, max_size=6),
    ends=st.lists(st.integers(0, 5), max_size=30),
)
def test_limits_hold_at_every_moment(
    jobs: int | None, cores: int, memory_mb: int, peaks: list[int], ends: list[int]
) -> None:
    measured = {chapter.name: {"peak_mb": peak} for chapter, peak in zip(CHAPTERS, peaks, strict=True)}
    made, done = Schedule(list(CHAPTERS), jobs, cores, memory_mb, measured), []
    for end in [*ends, *[0] * 6]:
        while made.start():
            pass
        assert made.running or not made.waiting, "nothing runs, and something waits"
        assert len(made.running) <= (jobs or cores)
        assert sum(made.running.values()) <= max(cores, len(made.running))
        used = sum(measured[chapter.name]["peak_mb"] for chapter in made.running)
        assert len(made.running) <= 1 or used <= memory_mb - SPARE_MB
        if made.running:
            chapter = list(made.running)[end % len(made.running)]
            made.end(chapter)
            done.append(chapter)
    assert sorted(chapter.name for chapter in done) == [chapter.name for chapter in CHAPTERS]


def test_one_chapter_several_times_is_measured_once() -> None:
    twice = [Execution(CHAPTERS[0].chapter, {"seed": seed}, f"-seed-{seed}") for seed in range(3)]
    assert [execution.file for execution in twice] == [f"00_x-seed-{seed}.ipynb" for seed in range(3)]
    made = Schedule(list(twice), cores=4, memory_mb=SPARE_MB + UNKNOWN_MB)
    assert started(made) == [("00", 1)]
    made.end(twice[0], {"status": "failed", "peak_mb": 1})
    assert started(made) == [("00", 2)]  # what failed tells nothing of memory
    made.end(twice[1], {"status": "ok", "peak_mb": UNKNOWN_MB // 2, "cpu_seconds": 10.0})
    made.waiting += [twice[0], twice[1]]
    assert [name for name, _ in started(made)] == ["00", "00"]
