"""The verified cache: nothing broken gets in, nothing good gets lost.   Every test is offline."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import signal
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

from metalearn_lib import corpora
from metalearn_lib.corpora import CorpusError, catalog, download

fetch = sys.modules["metalearn_lib.corpora.fetch"]  # the package's `fetch` is the function

GOOD = b"a small archive, good as gold\n"
HASH = hashlib.sha256(GOOD).hexdigest()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("METALEARN_DATA", str(folder))
    monkeypatch.delenv("METALEARN_MIRROR", raising=False)
    return folder


ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(fetch.__file__).parents[2])}


def _entry(kind, **options):
    file = catalog.SourceFile("sub/good.txt" if kind == "https" else "good.txt", len(GOOD), HASH)
    source = catalog.Source("toys", kind, (file,), **options)
    return replace(catalog.describe("reuters"), name="toy", kind=kind, sources=(source,), size=len(GOOD))


@pytest.fixture
def toy(cache, monkeypatch):
    """A corpus "toy" of one https file, whose download gives `toy.content`."""
    web = SimpleNamespace(content=GOOD, calls=0, before=lambda: None)

    class Downloader:
        def __init__(self, **options):
            assert options.get("verify", True) is True

        def __call__(self, address, output, _):
            web.calls += 1
            assert address == "https://example.org/sub/good.txt"
            web.before()
            Path(output).write_bytes(web.content)

    monkeypatch.setattr("pooch.HTTPDownloader", Downloader)
    monkeypatch.setitem(catalog._entries(), "toy", _entry("https", base="https://example.org/"))
    web.path = cache / "toys" / "sub" / "good.txt"
    return web


@pytest.fixture
def pip_toy(cache, monkeypatch):
    """A corpus "toy" of one archive, and what pip answers."""
    pip = SimpleNamespace(returncode=0, stderr="", content=GOOD, command=[], requirement="")

    def run(command, environment):
        pip.command = command
        folder = Path(command[command.index("-d") + 1])
        pip.requirement = Path(command[command.index("-r") + 1]).read_text()
        if pip.content is not None:
            (folder / "good.txt").write_bytes(pip.content)
        return subprocess.CompletedProcess(command, pip.returncode, "", pip.stderr)

    monkeypatch.setattr(download, "run", run)
    pypi = _entry("pypi", requirement="toys==1.0", source_archive=True)
    monkeypatch.setitem(catalog._entries(), "toy", pypi)
    pip.path = cache / "toys" / "good.txt"
    return pip


def _left_overs(cache):
    return [str(path) for path in cache.glob("**/.partial-*")] if cache.exists() else []


def test_a_file_is_fetched_once_and_then_believed(toy, cache):
    assert not corpora.is_present("toy")
    assert corpora.fetch("toy") == [toy.path]
    assert corpora.is_present("toy") and corpora.verify("toy") == [] and not corpora.status("toy").problem
    corpora.fetch("toy")
    assert fetch.paths("toy") == {"sub/good.txt": toy.path}
    assert toy.calls == 1 and not _left_overs(cache)


def test_a_missing_file_is_fetched_on_use(toy):
    assert fetch.paths("toy")["sub/good.txt"].read_bytes() == GOOD


@pytest.mark.parametrize("broken", [GOOD[:-1], b"A" + GOOD[1:], b""], ids=["truncated", "altered", "empty"])
def test_a_broken_file_is_refused_then_mended(toy, broken):
    corpora.fetch("toy")
    toy.path.write_bytes(broken)
    found = hashlib.sha256(broken).hexdigest()
    with pytest.raises(CorpusError) as caught:
        fetch.paths("toy")
    for part in (str(toy.path), HASH, found, "metalearn data fetch toy"):
        assert part in str(caught.value)
    assert [str(caught.value)] == corpora.verify("toy")
    assert corpora.status("toy").problem
    corpora.fetch("toy")
    assert toy.path.read_bytes() == GOOD and corpora.verify("toy") == []


def test_verify_hashes_again_even_when_size_and_time_are_unchanged(toy):
    corpora.fetch("toy")
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
    fetch.paths("toy")
    assert hashed == []
    os.utime(toy.path, ns=(1, 1))
    fetch.paths("toy")
    assert hashed == [toy.path]


@pytest.mark.parametrize("stamps", ["", "{", "[]", "null", '{"x": 3}'])
def test_a_damaged_memory_of_hashes_costs_only_a_hash(toy, cache, stamps):
    corpora.fetch("toy")
    memory = cache / "verified" / "toys.json"
    memory.write_text(stamps)
    assert fetch.paths("toy")
    assert str(toy.path) in json.loads(memory.read_text())


def test_the_memory_of_hashes_is_read_once_for_all_files_of_a_source(monkeypatch, cache):
    entry = _entry("https", base="https://example.org/")
    (source,) = entry.sources
    files = tuple(replace(source.files[0], path=f"{k}.txt") for k in range(5))
    monkeypatch.setitem(catalog._entries(), "toy", replace(entry, sources=(replace(source, files=files),)))
    for file in files:
        (cache / "toys" / file.path).parent.mkdir(parents=True, exist_ok=True)
        (cache / "toys" / file.path).write_bytes(GOOD)
    fetch.paths("toy")
    read, real = [], fetch._read_known
    monkeypatch.setattr(fetch, "_read_known", lambda place: read.append(place) or real(place))
    fetch.paths("toy")
    assert read == [cache / "verified" / "toys.json"]


def test_processes_that_check_different_corpora_keep_all_hashes(tmp_path):
    script = f"""
import sys
from dataclasses import replace
from pathlib import Path
from metalearn_lib import corpora
from metalearn_lib.corpora import catalog
for number in range(25):
    name = f"toy-{{sys.argv[1]}}-{{number}}"
    source = catalog.Source(name, "https", (catalog.SourceFile("good.txt", {len(GOOD)}, "{HASH}"),))
    catalog._entries()[name] = replace(catalog.describe("reuters"), name=name, sources=(source,))
    path = corpora.cache_folder() / name / "good.txt"
    path.parent.mkdir()
    path.write_bytes({GOOD!r})
    assert corpora.status(name).present
"""
    (tmp_path / "cache").mkdir()
    environment = ENVIRONMENT | {"METALEARN_DATA": str(tmp_path / "cache")}
    running = [subprocess.Popen([sys.executable, "-c", script, str(k)], env=environment) for k in range(4)]
    assert [process.wait(120) for process in running] == [0] * 4
    known = [json.loads(place.read_text()) for place in (tmp_path / "cache" / "verified").iterdir()]
    assert len({path for paths in known for path in paths}) == 100


def test_a_cache_that_may_not_be_written_costs_only_a_hash(toy, cache, monkeypatch):
    corpora.fetch("toy")
    shutil.rmtree(cache / "verified")
    (cache / "verified").write_text("a file where a folder should be")
    assert fetch.paths("toy") and corpora.status("toy").present


def test_a_folder_in_the_place_of_a_file_is_named(toy):
    toy.path.mkdir(parents=True)
    said = r"good.txt is a folder where the file .* should be; move it away, then: metalearn data fetch toy"
    for call in (corpora.fetch, fetch.paths):
        with pytest.raises(CorpusError, match=said):
            call("toy")
    assert "is a folder" in corpora.verify("toy")[0] and "is a folder" in corpora.status("toy").problem
    assert toy.calls == 0


def test_a_wrong_download_never_replaces_a_file(toy, cache):
    toy.path.parent.mkdir(parents=True)
    toy.path.write_bytes(b"what was there")
    toy.content = GOOD + b"!"
    with pytest.raises(CorpusError, match=rf"(?s)example.org.*arrived.*expected {HASH}.*nothing was replaced"):
        corpora.fetch("toy")
    assert toy.path.read_bytes() == b"what was there" and not _left_overs(cache)


def test_no_network_is_one_clear_message(toy, cache):
    import requests

    def down():
        raise requests.exceptions.ConnectionError("no route")

    toy.before = down
    with pytest.raises(CorpusError, match=r"(?s)cannot download.*METALEARN_MIRROR.*metalearn data fetch toy"):
        corpora.fetch("toy")
    assert not toy.path.exists() and not _left_overs(cache)


def test_an_address_that_is_gone_names_its_status(toy):
    import requests

    def gone():
        raise requests.exceptions.HTTPError(response=SimpleNamespace(status_code=404))

    toy.before = gone
    with pytest.raises(CorpusError, match=r"HTTPError 404"):
        corpora.fetch("toy")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_download_leaves_nothing_half_written(toy, cache, interruption):
    corpora.fetch("toy")
    toy.path.write_bytes(b"old")

    def stop():
        raise interruption

    toy.before = stop
    with pytest.raises(interruption):
        corpora.fetch("toy")
    assert toy.path.read_bytes() == b"old" and not _left_overs(cache)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_clear_message(toy, cache, code):
    def full():
        raise OSError(code, os.strerror(code))

    toy.before = full
    with pytest.raises(CorpusError, match=r"disk is full.*METALEARN_DATA"):
        corpora.fetch("toy")
    assert not toy.path.exists() and not _left_overs(cache)


def test_a_full_disk_at_the_rename_keeps_the_old_file(toy, monkeypatch, cache):
    toy.path.parent.mkdir(parents=True)
    toy.path.write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch.os, "replace", full)
    with pytest.raises(CorpusError, match=r"disk is full"):
        corpora.fetch("toy")
    assert toy.path.read_bytes() == b"old" and not _left_overs(cache)


def test_a_cache_that_is_a_file_is_explained(toy, monkeypatch, tmp_path):
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("METALEARN_DATA", str(tmp_path / "taken"))
    with pytest.raises(CorpusError, match=r"METALEARN_DATA"):
        corpora.fetch("toy")


def test_left_overs_of_killed_processes_go(toy, cache):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = {f"{fetch._partial()}{ended.pid}-x": False, f"{fetch._partial()}{os.getpid()}-x": True}
    names |= {".partial-elsewhere-1-old": False, f".partial-elsewhere-{ended.pid}-young": True}
    for name in names:
        (cache / name).mkdir(parents=True)
    os.utime(cache / ".partial-elsewhere-1-old", (time.time() - 2 * 86400,) * 2)
    corpora.fetch("toy")
    assert {name: (cache / name).exists() for name in names} == names


SLOW_PIP = """
import os, subprocess, sys, time
from pathlib import Path
folder = Path(sys.argv[sys.argv.index("-d") + 1])
(folder / "half of the archive").write_bytes(b"0" * 1000)
sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
Path(os.environ["PIDS"]).write_text(f"{os.getpid()} {sleeper.pid}.")
time.sleep(600)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interruption_ends_pip_and_all_it_started(tmp_path, number):
    (tmp_path / "slow" / "pip").mkdir(parents=True)
    (tmp_path / "slow" / "pip" / "__init__.py").touch()
    (tmp_path / "slow" / "pip" / "__main__.py").write_text(SLOW_PIP)
    script = f"""
from dataclasses import replace
from metalearn_lib import corpora
from metalearn_lib.corpora import catalog
source = catalog.Source("toys", "pypi", (catalog.SourceFile("good.txt", 1, "{HASH}"),), requirement="toys==1.0")
catalog._entries()["toy"] = replace(catalog.describe("reuters"), name="toy", sources=(source,))
try:
    corpora.fetch("toy")
except SystemExit:  # as a notebook does
    pass
"""
    environment = ENVIRONMENT | {
        "METALEARN_DATA": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "slow"), ENVIRONMENT["PYTHONPATH"]]),
        "PIDS": str(tmp_path / "pids"),
    }
    environment.pop("METALEARN_MIRROR", None)
    fetching = subprocess.Popen([sys.executable, "-c", script], env=environment, stderr=subprocess.DEVNULL)
    while not ((tmp_path / "pids").exists() and (tmp_path / "pids").read_text().endswith(".")):
        assert fetching.poll() is None
        time.sleep(0.05)
    children = [int(pid) for pid in (tmp_path / "pids").read_text().rstrip(".").split()]
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


def test_a_mirror_serves_and_is_not_altered(toy, monkeypatch, tmp_path):
    mirrored = tmp_path / "mirror" / "toys" / "sub" / "good.txt"
    mirrored.parent.mkdir(parents=True)
    mirrored.write_bytes(GOOD)
    for path in (mirrored, mirrored.parent):
        path.chmod(0o555 if path.is_dir() else 0o444)
    monkeypatch.setenv("METALEARN_MIRROR", str(tmp_path / "mirror"))
    corpora.fetch("toy")
    assert toy.calls == 0 and toy.path.read_bytes() == GOOD == mirrored.read_bytes()
    assert [p.name for p in mirrored.parent.iterdir()] == ["good.txt"]


def test_a_wrong_file_on_the_mirror_is_named(toy, monkeypatch, tmp_path):
    mirrored = tmp_path / "toys" / "sub" / "good.txt"
    mirrored.parent.mkdir(parents=True)
    mirrored.write_bytes(b"other")
    monkeypatch.setenv("METALEARN_MIRROR", str(tmp_path))
    with pytest.raises(CorpusError, match=str(mirrored)):
        corpora.fetch("toy")
    assert not toy.path.exists()


def test_what_the_mirror_lacks_comes_from_the_web(toy, monkeypatch, tmp_path):
    monkeypatch.setenv("METALEARN_MIRROR", str(tmp_path))
    corpora.fetch("toy")
    assert toy.calls == 1


def test_what_neither_mirror_nor_web_has_is_explained(toy, monkeypatch, tmp_path):
    import requests

    def down():
        raise requests.exceptions.ConnectTimeout

    toy.before = down
    monkeypatch.setenv("METALEARN_MIRROR", str(tmp_path))
    with pytest.raises(CorpusError, match=r"mirror .* lacks toys/sub/good.txt"):
        corpora.fetch("toy")


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


def test_nothing_of_a_source_archive_is_run(cache, monkeypatch, tmp_path):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        setup = (
            f"import setuptools\nopen({str(tmp_path / 'ran')!r}, 'w')\nsetuptools.setup(name='toys', version='1.0')\n"
        )
        for name, content in (("setup.py", setup), ("PKG-INFO", "Metadata-Version: 1.0\nName: toys\nVersion: 1.0\n")):
            about = tarfile.TarInfo(f"toys-1.0/{name}")
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content.encode()))
    (tmp_path / "toys-1.0.tar.gz").write_bytes(made.getvalue())
    file = catalog.SourceFile("toys-1.0.tar.gz", len(made.getvalue()), hashlib.sha256(made.getvalue()).hexdigest())
    source = catalog.Source("toys", "pypi", (file,), requirement="toys==1.0", source_archive=True)
    monkeypatch.setitem(catalog._entries(), "toy", replace(_entry("pypi"), sources=(source,)))
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(tmp_path), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    (path,) = corpora.fetch("toy")
    assert path.read_bytes() == made.getvalue()
    assert not (tmp_path / "ran").exists() and not _left_overs(cache)


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        (
            "WARNING: Retrying\nERROR: No matching distribution found for toys==1.0\n",
            "No matching distribution",
        ),
        ("ERROR: Could not install: [Errno 28] No space left on device\n", "disk is full: .*/toys/good.txt"),
        (
            "WARNING: Retrying after connection broken by\nERROR: No match",
            "index cannot be reached; ERROR: No",
        ),
        (
            f"ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n Expected x\n   Got  {'0' * 64}\n",
            f"found {'0' * 64}",
        ),
        ("python: No module named pip\n", "No module named pip"),
        ("", "said nothing"),
    ],
)
def test_what_pip_says_is_passed_on(pip_toy, cache, stderr, message):
    pip_toy.returncode, pip_toy.stderr, pip_toy.content = 1, stderr, None
    with pytest.raises(CorpusError, match=message):
        corpora.fetch("toy")
    assert not pip_toy.path.exists() and not _left_overs(cache)


def test_a_truncated_wheel_from_pip_is_refused(pip_toy):
    pip_toy.content = GOOD[:10]
    with pytest.raises(CorpusError, match=r"10 bytes"):
        corpora.fetch("toy")
    assert not pip_toy.path.exists()


def test_pip_that_brings_another_file_is_an_error(pip_toy):
    pip_toy.content = None
    with pytest.raises(CorpusError, match=r"no file good.txt arrived"):
        corpora.fetch("toy")


def test_a_missing_package_names_the_command(cache, monkeypatch):
    package = _entry("package", requirement="no-such-package==1.0", module="no_such_package", folder="data")
    monkeypatch.setitem(catalog._entries(), "toy", package)
    assert not corpora.is_present("toy")
    with pytest.raises(CorpusError, match=r"pip install .*no-such-package==1.0"):
        corpora.fetch("toy")
    assert "pip install" in corpora.verify("toy")[0]


def test_two_processes_may_fetch_at_once(tmp_path):
    for kind in ("mirror/reuters-mini", "cache"):
        (tmp_path / kind).mkdir(parents=True)
    big = os.urandom(3_000_000)
    (tmp_path / "mirror" / "reuters-mini" / "good.bin").write_bytes(big)
    script = f"""
from dataclasses import replace
from metalearn_lib import corpora
from metalearn_lib.corpora import catalog
file = catalog.SourceFile("good.bin", {len(big)}, "{hashlib.sha256(big).hexdigest()}")
source = catalog.Source("reuters-mini", "https", (file,))
catalog._entries()["toy"] = replace(catalog.describe("reuters"), name="toy", sources=(source,))
for _ in range(10):
    (path,) = corpora.fetch("toy")
    path.write_bytes(b"broken")
    corpora.fetch("toy")
"""
    environment = ENVIRONMENT | {
        "METALEARN_DATA": str(tmp_path / "cache"),
        "METALEARN_MIRROR": str(tmp_path / "mirror"),
    }
    running = [subprocess.Popen([sys.executable, "-c", script], env=environment) for _ in range(3)]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    ended = subprocess.run([sys.executable, "-c", script.split("for _")[0] + "print(corpora.verify('toy'))"],
                           env=environment, capture_output=True, text=True)  # fmt: skip
    assert ended.stdout.strip() == "[]"
    assert (tmp_path / "cache" / "reuters-mini" / "good.bin").read_bytes() == big
    assert not _left_overs(tmp_path / "cache")


def test_the_cache_lies_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("METALEARN_DATA", str(tmp_path / "x"))
    assert corpora.cache_folder() == tmp_path / "x"
    monkeypatch.delenv("METALEARN_DATA")
    assert corpora.cache_folder().is_absolute()
    assert not (tmp_path / "x").exists()


def test_outside_a_checkout_the_users_own_cache_is_taken(monkeypatch, tmp_path):
    monkeypatch.delenv("METALEARN_DATA", raising=False)
    installed = tmp_path / "site-packages" / "metalearn_lib" / "corpora" / "fetch.py"
    monkeypatch.setattr(fetch, "__file__", str(installed))
    assert "metalearn" in str(corpora.cache_folder()) and tmp_path not in corpora.cache_folder().parents


def test_an_altered_real_archive_is_refused(cache):
    real = Path(fetch.__file__).parents[2] / "data" / "cache" / "vader-sentiment" / "vaderSentiment-3.3.2.tar.gz"
    if not real.is_file():
        pytest.skip("vaderSentiment's archive is not in data/cache; run: metalearn data fetch")
    copy = cache / "vader-sentiment" / real.name
    copy.parent.mkdir(parents=True)
    shutil.copyfile(real, copy)
    content = bytearray(copy.read_bytes())
    content[1_000_000] ^= 1
    copy.write_bytes(content)
    with pytest.raises(CorpusError, match=r"not the file of the catalog"):
        corpora.load("sentiment_domains")
    copy.write_bytes(content[:-5000])
    with pytest.raises(CorpusError, match=r"bytes.*metalearn data fetch sentiment_domains"):
        corpora.load("sentiment_domains")


def test_fetching_leaves_tls_alone(toy):
    import ssl

    before = ssl._create_default_https_context
    corpora.fetch("toy")
    assert ssl._create_default_https_context is before
