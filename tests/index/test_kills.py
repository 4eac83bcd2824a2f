"""Killed with SIGKILL at ten random moments, indexing ends with every tile there once."""

import multiprocessing
import random
import sys
import time

import numpy as np
import pytest
from index_child import PIXELS, SIDE, SmallHistogram, index, index_and_tell, write_slide

from napari_medssl.index import open_collection
from napari_medssl.io.images import ImageRef, read_image


def run_until(context, slide, library, tiles, delay_s):
    """Index in a child, kill it `delay_s` after so many tiles; return whether it finished."""
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=index_and_tell, args=(slide, library, theirs))
    child.start()
    theirs.close()
    is_finished = False
    began = None
    try:
        while True:
            came = ours.recv()
            is_finished = came == "finished"
            began = came if began is None and came != 0 else began
            if is_finished or (began is not None and came - began >= tiles):
                break
    except EOFError:
        pass
    if not is_finished:
        time.sleep(delay_s)
        child.kill()
    child.join()
    ours.close()
    return is_finished


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="forkserver is POSIX's")
def test_ten_kills_lose_no_tile_and_double_none(tmp_path):
    slide, library = tmp_path / "made.png", tmp_path / "library"
    write_slide(slide)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["index_child"])
    moments = random.Random(4)
    for _ in range(10):
        finished = run_until(
            context, slide, library, moments.randint(32, 1600), moments.uniform(0, 0.03)
        )
        assert not finished
        assert not list(library.glob("*.embeddings/slides/" + "?" * 32))
    while not run_until(context, slide, library, 10**9, 0):
        pass
    index(slide, tmp_path / "unbroken", lambda progress: None)
    (one,) = library.glob("*.embeddings/slides/*")
    (two,) = (tmp_path / "unbroken").glob("*.embeddings/slides/*")
    assert one.name == two.name
    assert tree(one) == tree(two)
    check_every_tile_once(slide, library)


def check_every_tile_once(slide, library):
    found = open_collection(library)
    (record,) = found.slides
    tiles = found.tiles(record.fingerprint)
    due = {(x, y) for x in range(0, SIDE, PIXELS) for y in range(0, SIDE, PIXELS)}
    assert sorted(zip(tiles["x"].tolist(), tiles["y"].tolist(), strict=True)) == sorted(due)
    pixels = read_image(ImageRef(slide))
    rng = np.random.default_rng(0)
    for x, y in rng.choice(sorted(due), 20):
        alone = SmallHistogram().embed(pixels[None, y : y + PIXELS, x : x + PIXELS])[0]
        tile = found.nearest_tile(record.fingerprint, (x + 1, y + 1))
        np.testing.assert_allclose(found.vector(tile), alone, atol=2e-3)
