"""The book of the real chapters as a reader meets it: no network, both themes, search, equations, figures."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from metalearn_lib.course.book import build as book
from metalearn_lib.files import notebooks_folder, root

from .conftest import served

CHAPTERS = sorted(path.stem for path in notebooks_folder().glob("*.ipynb"))
WHITE = "rgb(255, 255, 255)"
# MathJax works through a queue; what is put into it now is called when all equations are set
SETTLED = "() => !window.MathJax || new Promise(done => MathJax.Hub.Queue(() => done(true)))"
UNSET = """() => [...document.querySelectorAll('.math.notranslate')]
    .filter(place => !place.querySelector('.MathJax') || place.querySelector('.MathJax_Error, .merror, .noError'))
    .map(place => place.textContent)"""
FIGURES = """() => [...document.querySelectorAll('.bd-content img')].map(image => ({
    alt: image.alt, width: image.naturalWidth,
    paper: getComputedStyle(image).backgroundColor, filter: getComputedStyle(image).filter}))"""
BRIGHTNESS = """() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3)
    .map(Number).reduce((a, b) => a + b) / 3"""


@pytest.fixture(scope="module")
def address(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the book is served: that of build/ if nothing has changed since, else one built for these tests."""
    for package in ("jupyter_book", "jupyter_server_mathjax"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (pip install -e '.[dev]')")
    built = root() / "build" / "book"
    sources = [Path(book.__file__), *notebooks_folder().iterdir()]
    newest = max(path.stat().st_mtime for path in sources)
    made = built / "searchindex.js"
    if "METALEARN_NOTEBOOKS" in os.environ or not made.exists() or made.stat().st_mtime < newest:
        built = book.build(tmp_path_factory.mktemp("site") / "book")
    with served(built) as where:
        yield where


def opened(watch: Callable[..., Any], url: str, **options: Any) -> Any:
    seen = watch(**options)
    seen.page.goto(url, wait_until="networkidle")
    seen.page.evaluate(SETTLED)
    return seen


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_in_both_themes(address: str, watch: Callable[..., Any], name: str) -> None:
    seen = opened(watch, f"{address}/{name}.html", color_scheme="light")
    assert seen.page.title().endswith("Learning to Learn from Text") and len(seen.page.title()) > 32
    assert seen.page.evaluate(UNSET) == []
    for scheme in ("light", "dark"):  # the page follows the reader's system
        seen.page.emulate_media(color_scheme=scheme)
        seen.page.locator(f'html[data-theme="{scheme}"]').wait_for()
        assert (seen.page.evaluate(BRIGHTNESS) < 60) == (scheme == "dark")
        for figure in seen.page.evaluate(FIGURES):
            assert figure["width"] > 100 and figure["paper"] == WHITE and figure["filter"] == "none"
            assert len(figure["alt"].split()) > 4, figure["alt"]
        seen.screenshot(f"book-{name}-{scheme}")
    assert seen.complaints == []


@pytest.mark.parametrize("name", ["index", "search", "genindex"])
def test_the_other_pages(address: str, watch: Callable[..., Any], name: str) -> None:
    assert opened(watch, f"{address}/{name}.html").complaints == []


def test_chapters_have_figures_and_equations(address: str, watch: Callable[..., Any]) -> None:
    seen = opened(watch, f"{address}/04_metric_based.html")
    assert len(seen.page.evaluate(FIGURES)) >= 5 and seen.page.locator(".MathJax").count() > 10
    assert seen.page.locator(".MathJax").first.bounding_box()["width"] > 5


def test_search_from_the_keyboard(address: str, watch: Callable[..., Any]) -> None:
    seen = opened(watch, f"{address}/00_start_here.html")
    seen.page.keyboard.press("Control+k")
    seen.page.keyboard.type("prototype")
    seen.page.keyboard.press("Enter")
    seen.page.wait_for_url("**/search.html?q=prototype*")
    results = seen.page.locator("#search-results li a")
    results.first.wait_for()
    found = " ".join(results.nth(place).get_attribute("href") or "" for place in range(results.count()))
    assert "glossary.html" in found and "04_metric_based.html" in found
    seen.screenshot("book-search")
    assert seen.complaints == []


def test_solutions_and_hints_are_folded_until_asked_for(address: str, watch: Callable[..., Any]) -> None:
    seen = opened(watch, f"{address}/04_metric_based.html")
    summaries = seen.page.locator("details summary")
    assert seen.page.locator("details[open]").count() == 0
    solutions = summaries.filter(has_text="Show the solution")
    assert solutions.count() >= 3 and summaries.filter(has_text="Hint 1").count() >= 3
    body = seen.page.locator("details", has_text="Show the solution").first.locator("pre").first
    assert body.count() == 1 and not body.is_visible()
    solutions.first.focus()
    seen.page.keyboard.press("Enter")
    body.wait_for(state="visible")
    seen.screenshot("book-solution")
    assert "BEGIN" not in seen.page.locator("article").inner_text()
