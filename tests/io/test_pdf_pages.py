"""Hostile PDF files neither hang nor crash us: they are drawn in a process that can be killed."""

import threading
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.io import pdf_pages
from napari_medssl.io.images import ImageRef, image_size, list_images, read_image, scan_images


def write_pdf(path, content=b"", forms=(), box="0 0 72 144", pages=1):
    """Write a PDF whose pages show `content`; `forms` are (name, content) that it may call."""
    resources = " ".join(f"/{name} {10 + i} 0 R" for i, (name, _) in enumerate(forms))
    kids = " ".join(f"{100 + i} 0 R" for i in range(pages))
    resources = f"/Resources << /XObject << {resources} >> >>"
    bodies = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: f"<< /Type /Pages /Count {pages} /Kids [{kids}] >>".encode(),
        4: stream(content, ""),
    }
    page = f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Contents 4 0 R {resources} >>"
    bodies |= {100 + i: page.encode() for i in range(pages)}
    head = f"/Type /XObject /Subtype /Form /BBox [0 0 999 999] {resources}"
    bodies |= {10 + i: stream(text, head) for i, (_, text) in enumerate(forms)}
    data, offsets = b"%PDF-1.7\n", {}
    for number, body in bodies.items():
        offsets[number] = len(data)
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start, size = len(data), max(offsets) + 1
    table = b"".join(b"%010d 00000 n \n" % offsets.get(n, 0) for n in range(size))
    data += b"xref\n0 %d\n%s" % (size, table)
    data += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (size, start)
    path.write_bytes(data)
    return ImageRef(path, 1)


def stream(content, head):
    packed = zlib.compress(content, 9)
    text = f"<< {head} /Filter /FlateDecode /Length {len(packed)} >>\nstream\n".encode()
    return text + packed + b"\nendstream"


RED_HALF = b"1 0 0 rg 0 72 72 72 re f"


def test_page_is_drawn_upright_in_its_colors_at_150_dpi(tmp_path):
    ref = write_pdf(tmp_path / "a.pdf", RED_HALF)
    pixels = read_image(ref)
    assert pixels.shape == (300, 150, 3)
    assert image_size(ref) == (150, 300)
    assert pixels[70, 70].tolist() == [255, 0, 0]
    assert pixels[220, 70].tolist() == [255, 255, 255]


def test_every_page_is_listed_once(tmp_path):
    write_pdf(tmp_path / "a.pdf", pages=12)
    assert [ref.page for ref in list_images([tmp_path])] == list(range(1, 13))


def test_page_that_is_not_there_is_told(tmp_path):
    ref = write_pdf(tmp_path / "a.pdf", pages=2)
    with pytest.raises(UserError, match=r"page 3 of 'a.pdf': it has 2"):
        read_image(ImageRef(ref.path, 3))


def test_forms_that_call_each_other_for_hours_are_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf_pages, "TIMEOUT_S", 1.0)
    calls = [(f"F{i}", b"/F%d Do\n" % (i + 1) * 30) for i in range(12)]
    ref = write_pdf(tmp_path / "bomb.pdf", b"/F0 Do", [*calls, ("F12", RED_HALF)])
    start = time.monotonic()
    with pytest.raises(UserError, match=r"Cannot read 'bomb.pdf': drawing it takes"):
        read_image(ref)
    assert time.monotonic() - start < 10
    assert read_image(write_pdf(tmp_path / "good.pdf", RED_HALF)).shape == (300, 150, 3)


def test_content_that_inflates_to_gigabytes_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf_pages, "TIMEOUT_S", 2.0)
    inflating = b"0 0 m 1 1 l S\n" * 20_000_000
    ref = write_pdf(tmp_path / "bomb.pdf", inflating)
    del inflating
    assert ref.path.stat().st_size < 2_000_000
    start = time.monotonic()
    try:
        assert read_image(ref).shape == (300, 150, 3)
    except UserError as error:
        told = str(error)
        assert "bomb.pdf" in told
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("box", ["0 0 0 0", "0 0 -5 nan", "0 0 1e30 1e30"])
def test_page_of_absurd_size_is_told_or_drawn_small(tmp_path, box):
    ref = write_pdf(tmp_path / "a.pdf", box=box)
    try:
        pixels = read_image(ref)
    except UserError as error:
        told = str(error)
        assert "a.pdf" in told
    else:
        assert pixels.size < 80_000_000


@pytest.mark.parametrize("content", [b"%PDF-", b"%PDF-1.7\n" + b"\xff" * 5000, b"%PDF-1.4 trailer"])
def test_broken_pdf_is_one_line_at_listing(tmp_path, content):
    (tmp_path / "a.pdf").write_bytes(content)
    ((name, reason),) = scan_images([tmp_path]).failures
    assert name.endswith("a.pdf")
    assert reason.startswith("Cannot read 'a.pdf': not a sound PDF file")
    assert "\n" not in reason


def test_worker_that_was_killed_is_started_again(tmp_path):
    ref = write_pdf(tmp_path / "a.pdf", RED_HALF)
    read_image(ref)
    process = pdf_pages._worker._process
    process.kill()
    process.wait()
    assert read_image(ref).shape == (300, 150, 3)


def test_threads_get_their_own_pages(tmp_path):
    names = {}
    for i in range(6):
        names[i] = write_pdf(tmp_path / f"{i}.pdf", box=f"0 0 {72 + 12 * i} 72")
    found = {}
    threads = [
        threading.Thread(target=lambda i=i, ref=ref: found.update({i: read_image(ref).shape[1]}))
        for i, ref in names.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: 150 + 25 * i for i in names}


def test_picture_inside_a_pdf_keeps_its_colors(tmp_path):
    colors = np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    big = np.repeat(np.repeat(colors, 20, 0), 20, 1)
    Image.fromarray(big).save(tmp_path / "a.pdf", resolution=150, quality=95)
    drawn = read_image(ImageRef(tmp_path / "a.pdf", 1))
    assert drawn.shape == big.shape
    assert np.abs(drawn[10::20, 10::20].astype(int) - colors).mean() < 12
