"""What is wrong with a built site: links that lead nowhere, and anything that another host would have to send."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}
_LOADED_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "shortcut"}


class _Page(HTMLParser):
    """The ids, links and loaded files of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.names.update(values[key] for key in ("id", "name") if key in values)
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and _LOADED_LINKS & set(values.get("rel", "").split()):
            self.loaded.append(values.get("href", ""))
        elif values.get(_LOADED.get(tag, "")):
            self.loaded.append(values[_LOADED[tag]])


def problems_of_site(site: Path) -> list[str]:
    """One sentence for each broken link and each file from another host; empty when all is well.

    Addresses of other hosts that a reader may follow are not visited.
    """
    pages = {path.resolve(): _read(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}
    problems = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve()).as_posix()
        for address in dict.fromkeys(page.loaded):
            if urlsplit(address).netloc:
                problems.append(f"{name}: it loads {address} from another host; the book must work without a network")
            elif not address.startswith("data:") and not _target(path, address).exists():
                problems.append(f"{name}: {address} is not there")
        for address in dict.fromkeys(page.links):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = _target(path, address)
            if not target.exists():
                problems.append(f"{name}: the link to {address} leads nowhere")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
                problems.append(f"{name}: the link to {address} leads nowhere: no such place on that page")
    return problems


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _target(page: Path, address: str) -> Path:
    path = unquote(urlsplit(address).path)
    return (page.parent / path).resolve() if path else page
