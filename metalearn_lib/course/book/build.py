"""`metalearn book`: the stored, executed chapters as a static site that works without a network.   All chapters

Jupyter Book builds from copies in which solutions are folded away. This is stricter than Jupyter Book:
a failed or unexecuted cell, a warning, a link that leads nowhere, or a script from another host stops it.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml  # type: ignore[import-untyped,unused-ignore]

from metalearn_lib.course.console import say, stop
from metalearn_lib.course.running.chapters import Chapter, UsageError, chapters
from metalearn_lib.course.running.notebook import NOT_RUN, WIDGET
from metalearn_lib.course.running.output import output_folder
from metalearn_lib.course.running.worker import KERNEL_ENVIRONMENT
from metalearn_lib.files import notebooks_folder, write_text

from ..exercises.cells import HIDDEN, SOLUTION, StudentError, heading, replace_regions
from .assets import ICON, STYLE, copy_mathjax, write_index
from .site import problems_of_site

CONFIG, TOC, INSTRUCTORS = "_config.yml", "_toc.yml", "instructors.md"
_NEEDED = ("jupyter_book", "jupyter_server_mathjax")


class BookError(RuntimeError):
    """The book cannot be built as the chapters stand; each line of the message is one problem."""


def book(
    out: Annotated[str | None, typer.Option(metavar="PATH", help="Where the site goes; build/book.")] = None,
    repository: Annotated[
        str | None, typer.Option(help="Address of the course's repository, for links to it; none by default.")
    ] = None,
    branch: Annotated[str, typer.Option(help="Branch that the links point to.")] = "main",
    binder: Annotated[str | None, typer.Option(help="Address of a BinderHub: adds its launch button.")] = None,
    colab: Annotated[str | None, typer.Option(help="Address of Colab: adds its launch button.")] = None,
) -> None:
    """Build the static book from the stored chapters; fails on whatever a reader would stumble over."""
    try:
        settings = launch_settings(repository, branch=branch, binder=binder, colab=colab)
        target = build(output_folder(out, "build/book"), settings)
    except UsageError as error:
        stop(error, 2)
    except (BookError, StudentError, OSError) as error:
        stop(error, 1)
    say(f"book in {target}; read it with: {Path(sys.executable).name} -m http.server --directory {target}")


def build(out: Path, settings: Mapping[str, Any] | None = None) -> Path:
    """Build the book into the folder `out` and return it; an earlier book there is replaced once the new is whole.

    Raises:
        BookError: a package is missing, a chapter is not fit to be shown, Jupyter Book warned, or a link is broken.
        UsageError: `out` is a folder of something else.

    Chapter: all.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise BookError(f"the book needs {' and '.join(missing)}; install with: pip install -e '.[dev]'")
    if out.is_dir() and any(out.iterdir()) and not (out / "searchindex.js").exists():
        raise UsageError(f"--out {out}: it holds something that is no book; choose an empty or new folder")
    with tempfile.TemporaryDirectory(prefix="metalearn-book-") as folder:
        source, made = (Path(folder).resolve() / name for name in ("source", "made"))
        write_source(source, settings)
        site = _run_jupyter_book(source, made)
        copy_mathjax(site / "_static" / "mathjax")
        write_index(site, yaml.safe_load((source / TOC).read_text(encoding="utf-8"))["root"])
        problems = problems_of_site(site)
        if problems:
            raise BookError("\n".join(problems))
        whole = out.with_name(f".{out.name}-whole")
        shutil.rmtree(whole, ignore_errors=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(site, whole)
    shutil.rmtree(out, ignore_errors=True)
    return whole.rename(out)


def launch_settings(
    repository: str | None, *, branch: str = "main", binder: str | None = None, colab: str | None = None
) -> dict[str, Any]:
    """Jupyter Book's settings for the links to a repository and the launch buttons; empty without a repository.

    Raises:
        UsageError: a launch button without a repository, or something that is no address.
    """
    for name, address in (("repository", repository), ("binder", binder), ("colab", colab)):
        if address is not None and not re.match(r"https?://\S+$", address):
            raise UsageError(f"--{name} {address!r}: give an address that starts with https://")
    if repository is None:
        if binder or colab:
            raise UsageError("--binder and --colab open chapters from a repository; say which with --repository")
        return {}
    if not re.match(r"https?://[^/]*(github|gitlab|bitbucket)[^/]*(/[^/]+){2,}/?$", repository):
        raise UsageError(
            f"--repository {repository}: give https://HOST/OWNER/NAME; GitHub, GitLab, Bitbucket are known"
        )
    place = {"url": repository.rstrip("/"), "branch": branch, "path_to_book": "notebooks"}
    launch = {"notebook_interface": "jupyterlab", "binderhub_url": binder or "", "colab_url": colab or ""}
    return {"repository": place, "html": {"use_repository_button": True}, "launch_buttons": launch}


def write_source(source: Path, settings: Mapping[str, Any] | None = None) -> None:
    """Write into a new folder what Jupyter Book reads: the chapters prepared, the settings, the style.

    Raises:
        BookError: a chapter is not fit to be shown, or the table of contents does not fit the notebooks.
    """
    folder = notebooks_folder()
    for name in (CONFIG, TOC):
        if not (folder / name).is_file():
            raise BookError(f"{folder / name} is missing; the book takes its {name.strip('_')[:-4]} from it")
    found = chapters()
    toc = yaml.safe_load((folder / TOC).read_text(encoding="utf-8"))
    problems = list(_problems_of_toc(toc, {chapter.name for chapter in found}))
    problems += [problem for chapter in found for problem in problems_of_outputs(chapter)]
    if problems:
        raise BookError("\n".join(problems))
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for chapter in found:
        stored = json.loads(chapter.path.read_text(encoding="utf-8"))
        write_text(json.dumps(for_reading(stored), ensure_ascii=False, indent=1) + "\n", source / chapter.path.name)
    if (folder / INSTRUCTORS).is_file():
        shutil.copyfile(folder / INSTRUCTORS, source / INSTRUCTORS)
        toc["parts"].append({"caption": "For instructors", "chapters": [{"file": Path(INSTRUCTORS).stem}]})
    if (folder / "images").is_dir():
        shutil.copytree(folder / "images", source / "images")
    config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    for name, values in (settings or {}).items():
        config[name] = {**config.get(name, {}), **values}
    write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), source / CONFIG)
    write_text(yaml.safe_dump(toc, allow_unicode=True, sort_keys=False), source / TOC)
    write_text(ICON, source / "favicon.svg")
    write_text(STYLE, source / "_static" / "course.css")


def problems_of_outputs(chapter: Chapter) -> list[str]:
    """Why a stored chapter cannot be shown: cells that failed, cells that were not run; empty when it can."""
    mend = f"execute it with: metalearn run {chapter.name} --in-place"
    found = []
    code = [(number, cell) for number, cell in enumerate(chapter.cells, 1) if cell["cell_type"] == "code"]
    code = [(number, cell) for number, cell in code if cell["source"].strip()]
    for number, cell in code:
        failed = [output for output in cell["outputs"] if output["output_type"] == "error"]
        if failed:
            what = f"{failed[0].get('ename')}: {failed[0].get('evalue')}"
            found.append(f"{chapter.path.name}, cell {number}: it failed with {what}; mend it, then {mend}")
        elif cell.get("execution_count") is None and not NOT_RUN & set(cell["metadata"].get("tags", [])):
            found.append(f"{chapter.path.name}, cell {number}: it has not been run; {mend}")
    if code and not found and not any(cell["outputs"] for _, cell in code):
        found.append(f"{chapter.path.name}: no cell has an output; {mend}")
    return found


def for_reading(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a notebook (as parsed JSON) for readers: solutions folded, hidden tests and widgets taken out.

    A solution of code is shown as its stub, the body left out, before a folded cell; a model answer in text is folded
    as the hints are. Of an exercise's heading only number and title stay one. Figures get the alternative text that
    their cell's metadata give.
    """
    made = copy.deepcopy(dict(notebook))
    made["metadata"].pop("widgets", None)
    made["cells"] = [shown for cell in made["cells"] for shown in _cell_for_reading(cell)]
    return made


def _cell_for_reading(cell: dict[str, Any]) -> Iterator[dict[str, Any]]:
    source = "".join(cell["source"])
    marks, metadata = cell["metadata"].get("nbgrader", {}), cell["metadata"]
    if cell["cell_type"] == "code":
        cell["outputs"] = [output for output in cell["outputs"] if WIDGET not in output.get("data", {})]
        for output in cell["outputs"]:
            output.get("metadata", {}).pop(WIDGET, None)
        options = metadata.setdefault("mystnb", {})
        if metadata.get("alt"):
            options["image"] = {"alt": metadata["alt"]}
        if marks.get("solution"):
            stub = replace_regions(source, SOLUTION, lambda region: f"{region.indent}...  # your answer")
            if stub != source:
                yield {"cell_type": "markdown", "metadata": {}, "source": f"```python\n{stub}\n```"}
            metadata["tags"] = [*metadata.get("tags", []), "hide-input"]
            options.update(code_prompt_show="Show the solution", code_prompt_hide="Hide the solution")
            source = replace_regions(source, SOLUTION, lambda region: region.text)
        source = replace_regions(source, HIDDEN, lambda region: None)
    elif cell["cell_type"] == "markdown" and marks.get("solution"):
        fold = "<details><summary>Show a model answer</summary>\n\n{}\n\n</details>"
        source = replace_regions(source, SOLUTION, lambda region: fold.format(region.text))
    elif cell["cell_type"] == "markdown" and (about := heading(cell)):
        first, _, rest = source.partition("\n")
        title = f"### Exercise {about['number']} · {about['title']}"  # the side contents show the heading
        source = f"{title}\n\n*{first.removeprefix(f'{title} · ')}*\n{rest}"
    cell["source"] = source
    yield cell


def _problems_of_toc(toc: Any, there: set[str]) -> Iterator[str]:
    listed = set(re.findall(r"'(?:file|root)': '([^']+)'", repr(toc)))
    for name in sorted(there - listed):
        yield f"{name}.ipynb is not in {TOC}; add a line `- file: {name}` where it belongs"
    for name in sorted(listed - there):
        yield f"{TOC} lists {name}, but there is no {name}.ipynb beside it; take the line out or add the notebook"


def _run_jupyter_book(source: Path, made: Path) -> Path:
    words = ["build", str(source), "--path-output", str(made), "--warningiserror", "--keep-going", "--quiet"]
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", *words]
    environment = {**os.environ, **KERNEL_ENVIRONMENT, "NO_COLOR": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    site = made / "_build" / "html"
    said = re.sub(r"\x1b\[[0-9;]*m", "", f"{done.stdout}\n{done.stderr}").replace(f"{source}{os.sep}", "")
    warned = [line for line in said.splitlines() if re.search(r"\b(WARNING|ERROR|CRITICAL)\b|^[\w.]+Error: \S", line)]
    if done.returncode or warned or not (site / "index.html").is_file():
        raise BookError("Jupyter Book is not content:\n" + "\n".join(dict.fromkeys(warned) or [said.strip()[-2000:]]))
    return site
