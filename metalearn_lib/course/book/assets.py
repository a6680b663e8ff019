"""What the book adds to the pages of Jupyter Book: style, icon, MathJax beside the pages, a first page."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

from metalearn_lib.files import write_text

# The figures are drawn on white: in the dark theme they keep it, and the theme's dimming is taken off. The theme's
# header holds nothing but a second field for the search.
STYLE = """.bd-content img { background-color: #ffffff !important; }
html[data-theme="dark"] .bd-content img { filter: none !important; padding: 4px; border-radius: 4px; }
header.bd-header { display: none; }
.bd-content details { margin: 0.5rem 0; }
.bd-content details > summary { cursor: pointer; }
"""
ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="4" cy="11" r="3" fill="#0072b2"/>
<circle cx="12" cy="11" r="3" fill="#e69f00"/><path d="M8 1l2 4H6z" fill="#009e73"/></svg>
"""


def copy_mathjax(folder: Path) -> None:
    """MathJax beside the pages; fonts that it would ask for in vain are looked for on the reader's system instead."""
    found = importlib.util.find_spec("jupyter_server_mathjax")
    assert found is not None and found.origin is not None
    skipped = shutil.ignore_patterns("a11y", "localization", "SVG")
    shutil.copytree(Path(found.origin).parent / "static", folder, ignore=skipped, dirs_exist_ok=True)
    combined = folder / "config" / "TeX-AMS-MML_HTMLorMML-full.js"
    text = combined.read_text(encoding="utf-8").replace("url('about:blank')", "local('MathJax_Blank')")
    write_text(re.sub(r"""url\('"\+\w+\+"/(MathJax_[\w-]+)\.otf'\)""", r"local('\1')", text), combined)


def write_index(site: Path, first: str) -> None:
    """A page that leads on to the first one; without an icon a browser would ask for one that is not there."""
    refresh = f'<meta http-equiv="refresh" content="0; url={first}.html">'
    head = f'<meta charset="utf-8">{refresh}<link rel="icon" href="data:,">'
    body = f'<p><a href="{first}.html">Go to the first page</a></p>'
    page = f'<!DOCTYPE html><html lang="en"><head>{head}<title>To the course</title></head><body>{body}</body></html>'
    write_text(page + "\n", site / "index.html")
