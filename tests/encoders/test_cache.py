"""The encoding cache: keyed by text, safe with two writers, survives damage and interruption."""

import errno
import subprocess
import sys

import pytest
import torch

from metalearn_lib import files as files_of_the_library
from metalearn_lib.encoders.cache import CHUNK, EncodingCache


def lengths(texts):
    return torch.tensor([[float(len(t)), 1.0] for t in texts])


def refuse(texts):
    raise AssertionError(f"encoded again: {texts[:3]}")


def files(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_a_text_is_encoded_once_even_by_a_new_object(tmp_path):
    texts = ["a", "bbb", "a", "ünï"]
    first = EncodingCache("key", folder=tmp_path).get(texts, lengths, dim=2)
    assert first[:, 0].tolist() == [1, 3, 1, 3]
    again = EncodingCache("key", folder=tmp_path).get(texts[::-1], refuse, dim=2)
    assert torch.equal(again, first.flip(0))


def test_keys_are_apart(tmp_path):
    EncodingCache("one", folder=tmp_path).get(["a"], lengths, dim=2)
    other = EncodingCache("two", folder=tmp_path).get(["a"], lambda t: torch.zeros(1, 2), dim=2)
    assert (other == 0).all()


def test_what_another_process_wrote_meanwhile_is_found(tmp_path):
    mine, other = EncodingCache("key", folder=tmp_path), EncodingCache("key", folder=tmp_path)
    mine.get(["a"], lengths, dim=2)
    other.get(["b"], lengths, dim=2)
    assert mine.get(["b", "a"], refuse, dim=2)[:, 0].tolist() == [1, 1]


def test_two_processes_at_once(tmp_path):
    script = (
        "import sys, torch; from pathlib import Path; from metalearn_lib.encoders.cache import EncodingCache\n"
        "texts = [f'text {i}' for i in range(3000)]\n"
        "def encode(t): return torch.tensor([[float(x.split()[1])] for x in t])\n"
        "out = EncodingCache('key', folder=Path(sys.argv[1])).get(texts, encode, dim=1)\n"
        "assert out[:, 0].tolist() == list(map(float, range(3000)))"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(2)]
    assert [p.wait(timeout=120) for p in running] == [0, 0]
    texts = [f"text {i}" for i in range(3000)]
    assert EncodingCache("key", folder=tmp_path).get(texts, refuse, dim=1)[:, 0].tolist() == list(
        map(float, range(3000))
    )
    assert all(name.endswith(".safetensors") and not name.startswith(".") for name in files(tmp_path))


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b"", lambda b: b"\x00" * len(b)])
def test_a_damaged_file_is_set_aside_and_encoded_again(tmp_path, damage):
    EncodingCache("key", folder=tmp_path).get(["a"], lengths, dim=2)
    path = next(tmp_path.rglob("*.safetensors"))
    path.write_bytes(damage(path.read_bytes()))
    assert EncodingCache("key", folder=tmp_path).get(["a"], lengths, dim=2)[0, 0] == 1
    assert path.with_suffix(".damaged").exists()
    assert EncodingCache("key", folder=tmp_path).get(["a"], refuse, dim=2)[0, 0] == 1


def test_an_interruption_loses_one_chunk_at_most(tmp_path):
    texts = [str(i) for i in range(3 * CHUNK)]
    calls = []

    def interrupted(part):
        calls.append(len(part))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return lengths(part)

    with pytest.raises(KeyboardInterrupt):
        EncodingCache("key", folder=tmp_path).get(texts, interrupted, dim=2)
    assert len(files(tmp_path)) == 2
    EncodingCache("key", folder=tmp_path).get(texts[: 2 * CHUNK], refuse, dim=2)


def test_a_full_disk_costs_the_cache_and_leaves_no_half_file(tmp_path, monkeypatch, capsys):
    def full(tensors, path, metadata=None):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    files_of_the_library._say_once.cache_clear()
    monkeypatch.setattr("safetensors.torch.save_file", full)
    cache = EncodingCache("key", folder=tmp_path)
    texts = [f"text {i}" for i in range(CHUNK + 3)]
    found = cache.get(texts, lengths, dim=2)
    assert torch.equal(found, lengths(texts)) and files(tmp_path) == []
    assert capsys.readouterr().out.count("No space left on device") == 1  # two chunks, one note
    assert torch.equal(cache.get(texts, refuse, dim=2), found)  # kept in memory


def test_a_folder_that_cannot_be_made_costs_the_cache(tmp_path):
    (tmp_path / "file").write_text("no folder")
    cache = EncodingCache("key", folder=tmp_path / "file")
    assert cache.get(["a", "bb"], lengths, dim=2)[:, 0].tolist() == [1, 2]
    assert cache.get(["bb", "a"], refuse, dim=2)[:, 0].tolist() == [2, 1]


def test_a_damaged_file_in_a_read_only_folder_is_passed_over(tmp_path, monkeypatch):
    EncodingCache("key", folder=tmp_path).get(["a"], lengths, dim=2)
    EncodingCache("key", folder=tmp_path).get(["bb"], lengths, dim=2)
    damaged = next(tmp_path.rglob("*.safetensors"))
    damaged.write_bytes(b"no tensors")

    def refused(*paths):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.rename", refused)
    monkeypatch.setattr("os.replace", refused)
    cache = EncodingCache("key", folder=tmp_path)
    assert cache.get(["a", "bb"], lengths, dim=2)[:, 0].tolist() == [1, 2]
    assert cache.get(["a", "bb"], refuse, dim=2)[:, 0].tolist() == [1, 2]


def test_another_format_finds_nothing_of_the_old_one(tmp_path, monkeypatch):
    EncodingCache("key", folder=tmp_path).get(["a"], lengths, dim=2)
    monkeypatch.setattr("metalearn_lib.encoders.cache.FORMAT", -1)
    assert EncodingCache("key", folder=tmp_path).get(["a"], lambda t: torch.zeros(1, 2), dim=2).eq(0).all()


def test_texts_come_back_in_their_order_and_each_is_encoded_once(tmp_path):
    asked = []

    def encode(texts):
        asked.extend(texts)
        return lengths(texts)

    texts = ["ccc", "a", "ccc", "bb", "a"]
    assert EncodingCache("key", folder=tmp_path).get(texts, encode, dim=2)[:, 0].tolist() == [3, 1, 3, 2, 1]
    assert asked == ["a", "bb", "ccc"]


def test_nothing_asked_nothing_encoded(tmp_path):
    assert EncodingCache("key", folder=tmp_path).get([], refuse, dim=7).shape == (0, 7)
