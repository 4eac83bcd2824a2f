"""Any picture comes as upright 8-bit RGB, and a bad one as one readable line."""

import io
import json
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.io import images, limits
from napari_medssl.io.images import ImageRef, image_size, list_images, read_image, scan_images
from napari_medssl.io.png_files import png_bytes
from napari_medssl.io.volumes import open_volume

GENERATOR = np.random.default_rng(5)
COLORS = GENERATOR.integers(0, 256, (23, 31, 3), dtype=np.uint8)
GREYS = COLORS[..., 0]


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp"])
def test_lossless_formats_give_the_pixels_back(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(tmp_path / f"a.{suffix}", COLORS, **options)
    np.testing.assert_array_equal(read_image(path), COLORS)
    assert image_size(path) == (31, 23)


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
def test_colours_of_16_bits_are_read_in_full(tmp_path, compression):
    import tifffile

    wide = np.random.default_rng(0).integers(0, 65536, (60, 80, 3), np.uint16)
    path = tmp_path / "wide.tif"
    tifffile.imwrite(path, wide, compression=compression, photometric="rgb")
    assert (read_image(path) == np.rint(wide / 257)).all()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff_gives_the_pixels_back(tmp_path, compression):
    path = save(tmp_path / "a.tif", COLORS, compression=compression)
    np.testing.assert_array_equal(read_image(path), COLORS)


def test_jpeg_is_close_to_the_pixels(tmp_path):
    smooth = np.tile(np.linspace(0, 255, 64, dtype=np.uint8)[:, None, None], (1, 48, 3))
    path = save(tmp_path / "a.jpg", smooth, quality=95)
    assert np.abs(read_image(path).astype(int) - smooth).max() <= 3


def test_grey_is_the_same_in_all_three_colors(tmp_path):
    result = read_image(save(tmp_path / "a.png", GREYS))
    np.testing.assert_array_equal(result, np.repeat(GREYS[..., None], 3, 2))


def test_gif_and_palette_give_the_colors(tmp_path):
    few = (COLORS // 128 * 255).astype(np.uint8)
    Image.fromarray(few).quantize(8).save(tmp_path / "a.gif")
    Image.fromarray(few).quantize(8).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.gif"), few)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), few)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_is_white_and_half_is_half(tmp_path, mode):
    picture = Image.new(mode, (3, 1))
    black = (0,) * (len(mode) - 1)
    for x, opacity in enumerate((0, 128, 255)):
        picture.putpixel((x, 0), (*black, opacity))
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0, :, 0], [255, 127, 0])


def test_transparent_palette_entry_is_white(tmp_path):
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "a.png", transparency=0)
    result = read_image(tmp_path / "a.png")
    assert result[0].tolist() == [[255, 255, 255], [40, 50, 60]]


def test_cmyk_jpeg_and_tiff_are_seen_as_colors(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    assert read_image(tmp_path / "a.tif")[8, 8].tolist() == [255, 0, 0]
    assert np.abs(read_image(tmp_path / "a.jpg")[8, 8].astype(int) - [255, 0, 0]).max() <= 6


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_full_range_16_bit_is_divided_by_257(tmp_path, suffix):
    wide = (GREYS.astype(np.uint16) * 257).astype(np.uint16)
    result = read_image(save(tmp_path / f"a.{suffix}", wide))
    np.testing.assert_array_equal(result[..., 0], GREYS)


def test_16_bit_color_tiff_keeps_all_colors(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", COLORS.astype(np.uint16) * 257, photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), COLORS)


def test_16_bit_planar_tiff_keeps_all_colors(tmp_path):
    planes = np.moveaxis(COLORS.astype(np.uint16) * 257, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), COLORS)


def test_16_bit_rgba_tiff_is_laid_on_white(tmp_path):
    pixels = np.zeros((2, 2, 4), np.uint16)
    pixels[0, 0, 3] = 65535
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    result = read_image(tmp_path / "a.tif")
    assert result[0, 0].tolist() == [0, 0, 0]
    assert result[1, 1].tolist() == [255, 255, 255]


def test_12_bit_values_are_stretched_and_a_hot_pixel_is_cut_off(tmp_path):
    values = np.tile(np.arange(2000, dtype=np.uint16), (50, 1))
    values[0, 0] = 30000
    result = read_image(save(tmp_path / "a.png", values))[..., 0]
    assert result[10, 1999] >= 254
    assert result[10, 1] <= 1
    assert abs(int(result[10, 1000]) - 128) <= 1


def test_float_tiff_in_0_1_is_multiplied_and_nan_is_black(tmp_path):
    values = np.array([[0, 0.5, 1, np.nan, np.inf, -np.inf]], np.float32)
    values = np.repeat(values, 4, 0)
    tifffile.imwrite(tmp_path / "a.tif", values)
    assert read_image(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 128, 255, 0, 255, 0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16", "int32", "uint32"])
def test_wide_types_are_monotonic(tmp_path, dtype):
    values = np.tile(np.linspace(0, 30000, 400).astype(dtype), (9, 1))
    tifffile.imwrite(tmp_path / "a.tif", values)
    row = read_image(tmp_path / "a.tif")[0, :, 0].astype(int)
    assert (np.diff(row) >= 0).all()
    assert (row[0], row[-1]) == (0, 255)


def test_constant_and_all_nan_pictures_are_read(tmp_path):
    tifffile.imwrite(tmp_path / "nan.tif", np.full((5, 5), np.nan, np.float32))
    tifffile.imwrite(tmp_path / "seven.tif", np.full((5, 5), -7, np.int16))
    tifffile.imwrite(tmp_path / "ends.tif", np.array([[-1.7e308, 1.7e308]] * 4))
    assert not read_image(tmp_path / "nan.tif").any()
    assert not read_image(tmp_path / "seven.tif").any()
    assert read_image(tmp_path / "ends.tif")[0, :, 0].tolist() == [0, 255]


def test_bilevel_tiff_both_ways_round(tmp_path):
    bits = GREYS > 127
    Image.fromarray(bits).save(tmp_path / "a.tif", compression="group4")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], bits * 255)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, suffix, orientation):
    upright = np.zeros((32, 64, 3), np.uint8)
    upright[:16, :16] = 255  # white corner at the top left, wider than high
    undo = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    stored = images_turned(upright, undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(stored).save(path, exif=exif)
    assert np.abs(read_image(path).astype(int) - upright).mean() < 3
    assert image_size(path) == (64, 32)


def images_turned(pixels, orientation):
    """Turn by Pillow's own table: an oracle for ours."""
    ways = (
        *(None, "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM"),
        *("TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90"),
    )
    way = ways[orientation - 1]
    picture = Image.fromarray(pixels)
    return np.asarray(picture if way is None else picture.transpose(Image.Transpose[way]))


def test_pages_of_a_tiff_are_separate_pictures(tmp_path):
    path = tmp_path / "stack.tif"
    pages = [Image.fromarray(COLORS), Image.fromarray(255 - COLORS), Image.fromarray(GREYS)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    refs = list_images([path])
    assert [ref.name for ref in refs] == [f"stack.tif#page={n}" for n in (1, 2, 3)]
    np.testing.assert_array_equal(read_image(refs[1]), 255 - COLORS)
    np.testing.assert_array_equal(read_image(refs[2])[..., 1], GREYS)
    with pytest.raises(UserError, match=r"page 4 of 'stack.tif': it has 3"):
        read_image(ImageRef(path, 4))


def test_pages_of_wide_tiff_are_separate_and_big_tiff_is_read(tmp_path):
    stack = np.stack([GREYS, 255 - GREYS]).astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", stack, bigtiff=True, photometric="minisblack")
    refs = list_images([tmp_path / "a.tif"])
    assert [ref.page for ref in refs] == [1, 2]
    np.testing.assert_array_equal(read_image(refs[1])[..., 0], 255 - GREYS)


def test_previews_inside_a_tiff_are_not_listed(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(COLORS, photometric="rgb")
        writer.write(COLORS[::2, ::2], photometric="rgb", subfiletype=1)
    assert [ref.page for ref in list_images([tmp_path / "a.tif"])] == [None]


@pytest.mark.data("interop/pdf/pmc5911624.pdf")
def test_pdf_pages_are_rendered_at_150_dpi(data_file):
    refs = list_images([data_file])
    assert refs[1].name == "pmc5911624.pdf#page=2"
    page = read_image(refs[1])
    width, height = image_size(refs[1])
    assert page.shape == (height, width, 3)
    assert 1000 < width < height < 2000  # a letter or A4 sheet
    assert page.mean() > 200  # text on white
    assert page.min() < 60


def test_pdf_of_a_picture_has_its_colors_and_its_size(tmp_path):
    Image.new("RGB", (300, 150), (200, 30, 60)).save(tmp_path / "a.pdf", resolution=75)
    ref = ImageRef.parse(f"{tmp_path}/a.pdf#page=1")
    result = read_image(ref)
    assert result.shape == (300, 600, 3)
    assert np.abs(result[150, 300].astype(int) - [200, 30, 60]).max() <= 6


def test_huge_pdf_page_is_rendered_small(tmp_path):
    Image.new("RGB", (20, 20)).save(tmp_path / "a.pdf", resolution=0.01)
    height, width, _ = read_image(ImageRef(tmp_path / "a.pdf", 1)).shape
    assert width * height <= 26_000_000


def test_wrong_suffix_does_not_matter(tmp_path):
    path = save(tmp_path / "a.jpg", COLORS, format="PNG")
    np.testing.assert_array_equal(read_image(path), COLORS)


def test_folder_is_listed_in_natural_order_without_hidden_files(tmp_path):
    for name in ("fig10.png", "fig2.png", ".hidden.png", "Fig1.png", "noise.dat"):
        save(tmp_path / name, COLORS, format="PNG")
    (tmp_path / "sub").mkdir()
    save(tmp_path / "sub" / "deep.png", COLORS)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    listing = scan_images([tmp_path])
    assert [ref.name for ref in listing.refs] == ["Fig1.png", "fig2.png", "fig10.png", "noise.dat"]
    assert [(os.path.basename(n), r) for n, r in listing.failures] == [
        ("empty.png", f"Cannot read {str(tmp_path / 'empty.png')!r}: the file is empty.")
    ]
    assert [os.path.basename(n) for n, _ in listing.others] == ["notes.txt"]
    assert list_images([tmp_path], recursive=True)[-1].name == "deep.png"


def test_of_a_volume_it_is_told_how_its_slices_become_pictures(tmp_path):
    (tmp_path / "heart.nii.gz").write_bytes(b"\x1f\x8b any")
    listing = scan_images([tmp_path / "heart.nii.gz"])
    ((_, reason),) = listing.failures
    assert "'heart.nii.gz': a volume, where plain pictures are due. Name one of its" in reason
    assert "as 'heart.nii.gz#page=1', or write them as the pages of a TIFF file." in reason


def test_named_files_that_are_no_pictures_are_failures(tmp_path):
    (tmp_path / "notes.txt").write_text("not a picture")
    os.mkfifo(tmp_path / "pipe.png")
    listing = scan_images([tmp_path / "notes.txt", tmp_path / "none.png", tmp_path / "pipe.png"])
    reasons = " ".join(reason for _, reason in listing.failures)
    assert not listing.refs
    assert "not a picture that we know" in reasons
    assert "there is no such file" in reasons
    assert "not a plain file" in reasons


def test_folder_that_cannot_be_listed_is_a_failure(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)
    ((name, reason),) = scan_images([tmp_path]).failures
    assert name == str(tmp_path)
    assert "Permission denied" in reason


def test_picture_named_twice_is_listed_once(tmp_path):
    path = save(tmp_path / "a.png", COLORS)
    assert len(list_images([path, tmp_path, str(path)])) == 1


def test_name_with_page_mark_that_exists_is_a_file(tmp_path):
    path = save(tmp_path / "a#page=2", COLORS, format="PNG")
    assert ImageRef.parse(path) == ImageRef(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.gif", "a.webp", "a.bmp"])
def test_cut_off_file_is_one_line(tmp_path, name):
    path = save(tmp_path / name, GENERATOR.integers(0, 256, (99, 99, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=f"Cannot read '{name}'") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_every_cut_of_a_small_png_is_refused(tmp_path):
    whole = io.BytesIO()
    Image.fromarray(COLORS).save(whole, "PNG")
    path = tmp_path / "a.png"
    for length in range(0, len(whole.getvalue()) - 16, 40):
        path.write_bytes(whole.getvalue()[:length])
        with pytest.raises(UserError):
            read_image(path)


def png_header(width, height, bits=8, color=2):
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_bomb_is_refused_by_its_header(tmp_path):
    (tmp_path / "a.png").write_bytes(png_header(20_000, 20_000))
    with pytest.raises(UserError, match=r"20000 x 20000 pixels; the limit is 200 megapixels"):
        read_image(tmp_path / "a.png")


def test_picture_above_pillows_own_limit_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", COLORS)), COLORS)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_tiff_tile_bomb_is_refused(tmp_path):
    tags = [(256, 4, 16), (257, 4, 16), (258, 3, 8), (259, 3, 1), (262, 3, 1)]
    tags += [(322, 4, 2**31), (323, 4, 2**20), (324, 4, 8), (325, 4, 8)]
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags))
    (tmp_path / "a.tif").write_bytes(head + body + bytes(4))
    with pytest.raises(UserError, match="its tiles are"):
        read_image(tmp_path / "a.tif")


def test_file_name_is_never_cut_and_stays_on_one_line(tmp_path):
    name = "long" * 40 + "\n.png"
    (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UserError) as caught:
        read_image(tmp_path / name)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_out_of_memory_is_one_line(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", COLORS)
    monkeypatch.setattr(images, "_read", lambda *given: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(UserError, match="MemoryError"):
        read_image(path)


def test_threads_leave_the_warning_filters_as_they_were(tmp_path):
    path = save(tmp_path / "a.png", COLORS)
    before = list(warnings.filters)
    threads = [threading.Thread(target=read_image, args=(path,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


ODD_BUT_READABLE = (
    "pillow_apng", "pillow_broken_exif", "pillow_badrle", "pillow_empty_gps", "pillow_exif-dpi",
    "pillow_imagedraw", "pillow_issue_2278", "pillow_no_palette", "pillow_palette_negative",
    "pillow_truncated_app14", "pillow_truncated_exif", "pillow_xmp", "libvips_big-height",
    "libvips_ojpeg", "own_tiff_ifd_cycle", "imagetiff_oor_panic_id_000019", "pillow_duplicate_xref",
)  # fmt: skip

PROBE = """
import json, resource, sys, time
from napari_medssl._errors import UserError
from napari_medssl.io.images import image_size, read_image, scan_images
def own_peak_kb():
    try:  # ru_maxrss starts at what the parent had before exec
        with open("/proc/self/status") as stream:
            status = stream.read()
        return int(status.split("VmHWM:")[1].split()[0])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    print(path, flush=True)
    start = time.monotonic()
    listing = scan_images([path])
    lines = [reason for _, reason in listing.failures]
    for ref in listing.refs:
        try:
            pixels = read_image(ref)
            assert pixels.dtype == "uint8" and pixels.ndim == 3 and pixels.shape[2] == 3
            assert image_size(ref) == (pixels.shape[1], pixels.shape[0])
            lines.append("read")
        except UserError as error:
            lines.append(str(error))
    peak = own_peak_kb()
    print(json.dumps([time.monotonic() - start, peak, lines]), flush=True)
"""


@pytest.fixture(scope="module")
def told_of_bad_files(data_dir):
    """What is told of each bad file: seconds, peak kilobytes so far, lines.

    They are read in one process of its own, where a crash is seen, and nothing may be printed.
    """
    folder = data_dir / "badfiles"
    files = [str(path) for kind in ("images", "pdf") for path in sorted((folder / kind).iterdir())]
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROBE, *files],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, ""), result.stdout[-300:]
    lines = result.stdout.splitlines()
    return {path: json.loads(told) for path, told in zip(lines[::2], lines[1::2], strict=True)}


@pytest.mark.data("badfiles/images/*", "badfiles/pdf/*")
def test_bad_file_gives_a_line_or_a_picture(data_file, told_of_bad_files):
    seconds, kilobytes, lines = told_of_bad_files[str(data_file)]
    assert seconds < 10
    assert kilobytes < 2_000_000
    if data_file.name.startswith(ODD_BUT_READABLE):
        assert set(lines) == {"read"}
    else:
        assert len(lines) == 1
        assert lines[0].startswith("Cannot read ")
        assert data_file.name in lines[0]
        assert "\n" not in lines[0]


def test_limits_leave_room_for_any_real_figure():
    limits.check_size("poster", 14_000, 14_000)


def test_jpeg_of_thousands_of_passes_is_refused(tmp_path):
    path = save(tmp_path / "a.jpg", np.zeros((4000, 4000), np.uint8), progressive=True)
    whole = path.read_bytes()
    last = whole.rindex(b"\xff\xda")
    path.write_bytes(whole[:last] + whole[last:-2] * 2000 + b"\xff\xd9")
    with pytest.raises(UserError, match=r"4000 x 4000 pixels in 20\d\d passes"):
        read_image(path)


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<i2", ">i2"])
def test_16_bit_of_either_byte_order_is_scaled_alike(tmp_path, dtype):
    values = np.linspace(-20_000 if "i" in dtype else 0, 30_000, 999).astype(dtype)
    rows = np.tile(values, (5, 1))
    tifffile.imwrite(tmp_path / "a.tif", rows, byteorder=dtype[0])
    row = read_image(tmp_path / "a.tif")[2, :, 0].astype(int)
    assert (np.diff(row) >= 0).all()
    assert (row[0], row[-1]) == (0, 255)
    assert abs(row[499] - 127.5) <= 1


def test_large_webp_has_a_lower_limit_than_its_decoder_has_memory(tmp_path):
    path = save(tmp_path / "a.webp", COLORS, lossless=True)
    data = bytearray(path.read_bytes())
    start = data.index(b"VP8L") + 9  # 14 bits of width - 1, 14 bits of height - 1
    bits = int.from_bytes(data[start : start + 4], "little") >> 28 << 28
    data[start : start + 4] = (bits | 12_000 | 12_000 << 14).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(UserError, match="limit is 100 megapixels"):
        read_image(path)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_robust_reading_of_wide_values_minds_no_hot_pixel(tmp_path, suffix):
    """A bone scan that uses a tenth of its range is not black for one hot pixel."""
    values = np.tile(np.linspace(0, 6000, 100), (100, 1)).astype(np.uint16)
    values[3, 4] = 65535
    path = tmp_path / f"scan.{suffix}"
    if suffix == "tif":
        tifffile.imwrite(path, values)
    else:
        Image.fromarray(values).save(path)
    assert np.median(read_image(path)) < 15
    robust = read_image(path, robust=True)
    assert abs(float(np.median(robust)) - 127) < 3
    assert robust[3, 4, 0] == 255


def test_robust_reading_leaves_8_bits_alone_that_use_their_range(tmp_path):
    path = save(tmp_path / "grey.png", GREYS)
    assert np.array_equal(read_image(path, robust=True), read_image(path))


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_robust_reading_makes_dim_8_bits_light(tmp_path, suffix):
    """Fluorescence at low exposure, with one hot pixel; its colours keep their proportions."""
    values = np.zeros((100, 100, 3), np.uint8)
    values[..., 0] = np.tile(np.arange(100, dtype=np.uint8), (100, 1))
    values[..., 1] = values[..., 0] // 2
    values[3, 4] = 255
    path = save(tmp_path / f"dim.{suffix}", values)
    assert read_image(path)[..., 0].max() == 255
    assert np.array_equal(read_image(path), values)
    robust = read_image(path, robust=True)
    assert robust[5, 99, 0] == 255
    assert robust[3, 4].tolist() == [255, 255, 255]
    assert abs(int(robust[5, 50, 0]) - 130) < 3
    assert np.abs(robust[5, :, 1].astype(int) * 2 - robust[5, :, 0]).max() <= 7


def test_a_picture_of_nothing_stays_dark(tmp_path):
    """Noise of a black field becomes 8 times as light at most."""
    noise = np.random.default_rng(1).integers(0, 4, (60, 60, 3)).astype(np.uint8)
    assert read_image(save(tmp_path / "noise.png", noise), robust=True).max() == 24
    black = np.zeros((60, 60, 3), np.uint8)
    assert not read_image(save(tmp_path / "black.png", black), robust=True).any()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_robust_pages_of_a_stack_are_the_slices_of_the_volume(tmp_path, dtype, compression):
    """A page alone is as light as among the others, so that a model sees the same either way."""
    data = np.random.default_rng(0).integers(0, 90, (4, 30, 40)).astype(dtype)
    data[2] //= 8
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, data, photometric="minisblack", compression=compression)
    with open_volume(path) as volume:
        slices = [volume.picture(z) for z in range(4)]
    for page, due in enumerate(slices, start=1):
        assert np.array_equal(read_image(ImageRef(path, page), robust=True), due)
    assert slices[0].max() == 255
    assert 20 < slices[2].max() < 40
    assert np.array_equal(read_image(path, robust=True), slices[0])
    if dtype == "uint8":
        assert np.array_equal(read_image(ImageRef(path, 3))[..., 0], data[2])


def test_robust_pages_of_no_stack_are_pictures_of_their_own(tmp_path):
    """Pages of two sizes, and those beside a page that is damaged."""
    dim = np.tile(np.arange(90, dtype=np.uint8), (40, 1))
    with tifffile.TiffWriter(tmp_path / "sizes.tif") as writer:
        writer.write(dim, photometric="minisblack")
        writer.write(np.full((20, 30), 200, np.uint8), photometric="minisblack")
    assert read_image(ImageRef(tmp_path / "sizes.tif", 1), robust=True).max() == 255
    path = tmp_path / "damaged.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(3):
            writer.write(dim, photometric="minisblack", compression="zlib", contiguous=False)
    with tifffile.TiffFile(path) as file:
        start, length = file.pages[2].dataoffsets[0], file.pages[2].databytecounts[0]
    content = bytearray(path.read_bytes())
    content[start : start + length] = b"x" * length
    path.write_bytes(content)
    assert read_image(ImageRef(path, 1), robust=True).max() == 255
    with pytest.raises(UserError, match="damaged"):
        read_image(ImageRef(path, 3), robust=True)
    with pytest.raises(UserError, match=r"Cannot read page 9 of 'damaged.tif': it has 3"):
        read_image(ImageRef(path, 9), robust=True)


def test_robust_reading_leaves_a_picture_whose_levels_were_chosen(tmp_path):
    dark = np.tile(np.arange(30, dtype=np.uint8)[:, None, None], (1, 30, 3))
    (tmp_path / "slice.png").write_bytes(png_bytes(dark, is_chosen=True))
    assert np.array_equal(read_image(tmp_path / "slice.png", robust=True), dark)
    (tmp_path / "dim.png").write_bytes(png_bytes(dark))
    assert read_image(tmp_path / "dim.png", robust=True).max() > 200
