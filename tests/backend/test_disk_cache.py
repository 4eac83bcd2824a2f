"""The disk cache gives back what was put, drops the oldest, and never stands in the way."""

import logging
import os
from pathlib import Path

import pytest

from napari_medssl.backend.disk_cache import DiskCache, file_key


@pytest.fixture
def cache(tmp_path):
    return DiskCache(tmp_path / "cache", limit_bytes=10_000)


def files(cache):
    return [path for _, _, path in cache._files()]


def test_what_was_put_comes_back_also_to_another_process(cache, tmp_path):
    assert cache.get("key") is None
    cache.put("key", b"body")
    assert DiskCache(tmp_path / "cache", 10_000).get("key") == b"body"
    cache.clear()
    assert cache.get("key") is None


def test_those_unused_for_longest_go(cache):
    for n in range(9):
        cache.put(str(n), bytes(1000))
        os.utime(cache._path(str(n)), ns=(n * 10**9, n * 10**9))
    cache.get("0")  # used again: now the newest
    for n in range(9, 14):
        cache.put(str(n), bytes(1000))
    assert cache.size_bytes() <= 10_000
    kept = [n for n in range(14) if cache.get(str(n)) is not None]
    assert 0 in kept
    assert 13 in kept
    assert 1 not in kept


def test_what_does_not_fit_is_not_kept(cache):
    cache.put("small", b"x")
    cache.put("huge", bytes(20_000))
    assert cache.get("huge") is None
    assert cache.get("small") == b"x"


@pytest.mark.parametrize("damage", [b"", b"abc", b"\0\0\0\0body"])
def test_a_damaged_file_counts_as_absent_and_goes(cache, damage):
    cache.put("key", b"body")
    (path,) = files(cache)
    path.write_bytes(damage)
    assert cache.get("key") is None
    assert not path.exists()


def test_a_folder_that_cannot_be_written_is_a_cache_that_is_empty(tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    cache = DiskCache(tmp_path / "file" / "cache", 10_000)
    with caplog.at_level(logging.WARNING, logger="napari_medssl.backend.disk_cache"):
        cache.put("key", b"body")
    assert cache.get("key") is None
    assert "Nothing is cached" in caplog.text


def test_the_key_of_a_file_changes_with_the_file(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    first = file_key(path, "page", 3)
    assert first == file_key(Path(path), "page", 3) != file_key(path, "page", 4)
    path.write_bytes(b"12")
    assert file_key(path, "page", 3) != first
