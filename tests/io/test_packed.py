"""A gzip file is read anywhere as if it were not packed, and a step back is cheap."""

import gzip
import io
import itertools
import threading
import zlib

import numpy as np
import pytest

from napari_medssl.io.volumes import packed
from napari_medssl.io.volumes.packed import PackedReader, Places

LENGTH = 300_000


@pytest.fixture(autouse=True)
def short_steps(monkeypatch):
    monkeypatch.setattr(packed, "_LEAST_STEP", 4096)
    monkeypatch.setattr(packed, "_PACKED", 1000)


def content(length=LENGTH, seed=0):
    """Half noise, half runs: parts that are packed well, and parts that are not."""
    generator = np.random.default_rng(seed)
    noise = generator.integers(0, 256, length, np.uint8)
    runs = np.repeat(generator.integers(0, 256, length // 50 + 1, np.uint8), 50)[:length]
    return np.where(np.arange(length) // 7000 % 2, noise, runs).tobytes()


class Counted(io.BytesIO):
    """Counts the bytes that are read."""

    count = 0

    def read(self, size=-1):
        found = super().read(size)
        self.count += len(found)
        return found


@pytest.mark.parametrize("parts", [1, 3])
def test_any_part_in_any_order_is_that_of_the_content(parts):
    """In one member of the file, or in several with zeros between them, as some writers leave."""
    data = content()
    cuts = np.linspace(0, LENGTH, parts + 1).astype(int)
    members = [gzip.compress(data[a:b]) for a, b in itertools.pairwise(cuts)]
    reader = PackedReader(io.BytesIO(bytes(512).join(members) + bytes(512)))
    generator = np.random.default_rng(1)
    for _ in range(200):
        at, length = (int(value) for value in generator.integers(0, LENGTH, 2))
        reader.seek(at)
        assert reader.read(length // 10) == data[at : at + length // 10]
    reader.seek(LENGTH - 5)
    assert reader.read(100) == data[-5:]
    reader.seek(LENGTH + 5)
    assert reader.read(1) == b""


def test_a_step_back_costs_no_more_than_a_step():
    file = Counted(gzip.compress(content()))
    places = Places()
    reader = PackedReader(file, places)
    reader.seek(LENGTH)
    file.count = 0
    reader.seek(LENGTH - 6000)
    assert len(reader.read(100)) == 100
    assert file.count < 12_000
    again = PackedReader(file, places)  # as is the beginning of another reader
    file.count = 0
    again.seek(LENGTH - 6000)
    assert file.count < 12_000


def test_places_of_a_long_file_lie_further_apart(monkeypatch):
    monkeypatch.setattr(packed, "_MOST_PLACES", 10)
    places = Places()
    places.expect(LENGTH)
    reader = PackedReader(io.BytesIO(gzip.compress(content())), places)
    reader.seek(LENGTH)
    assert len(places._places) <= 11


def test_a_file_that_is_cut_off_or_damaged_raises():
    data = content()
    whole = gzip.compress(data)
    reader = PackedReader(io.BytesIO(whole[: len(whole) // 2]))
    assert reader.read(1000) == data[:1000]
    with pytest.raises(EOFError):
        reader.read(LENGTH)
    bad = bytearray(whole)
    bad[-6] ^= 1  # of the sum at the end
    with pytest.raises(zlib.error):
        PackedReader(io.BytesIO(bytes(bad))).read(LENGTH + 1)


def test_several_threads_share_places():
    data = content()
    file = gzip.compress(data)
    places = Places()
    wrong = []

    def work(seed):
        reader = PackedReader(io.BytesIO(file), places)
        generator = np.random.default_rng(seed)
        for at in generator.integers(0, LENGTH - 100, 100).tolist():
            reader.seek(at)
            if reader.read(100) != data[at : at + 100]:
                wrong.append(at)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    found = [place.at for place in places._places]
    assert found == sorted(found)
