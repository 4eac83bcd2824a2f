"""What is written comes back: COCO and VOC to the bit, YOLO to a billionth of a pixel."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medssl._errors import UserError
from napari_medssl.io.annotations import read_boxes, write_boxes
from napari_medssl.io.boxes import Box, ImageBoxes

settings.register_profile("files", deadline=None, max_examples=30)
FILES = settings.get_profile("files")

SIDES = st.integers(1, 20_000)
SCORES = st.none() | st.floats(0, 1)
WORDS = st.text(min_size=1, max_size=12)
PLAIN = st.from_regex(r"[A-Za-zäé0-9(&<>\"'_-]{1,8}", fullmatch=True)
NAMES = st.from_regex(r"([a-zé0-9_ -]{1,6}/){0,2}[a-zA-Z0-9&_-]{1,9}\.(png|jpg|pdf#page=[1-9])",
                      fullmatch=True)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def spans(low, high, least):
    pair = st.tuples(st.floats(low, high), st.floats(low, high)).map(sorted)
    return pair.filter(lambda p: p[1] - p[0] >= least)


@st.composite
def boxes(draw, words, low=-300.0, high=30_000.0, least=0.0):
    x0, x1 = draw(spans(low, high, least).filter(lambda p: p[1] > p[0]))
    y0, y1 = draw(spans(low, high, least).filter(lambda p: p[1] > p[0]))
    return Box(x0, y0, x1, y1, draw(SCORES), draw(st.just("") | words), draw(words))


def images(words, extra):
    return st.builds(
        ImageBoxes, NAMES, SIDES, SIDES, st.lists(boxes(words), max_size=4).map(tuple), extra
    )


EXTRA = st.dictionaries(
    st.text(max_size=6).filter(lambda k: k not in ("id", "file_name", "width", "height")), JSON,
    max_size=3,
)  # fmt: skip


@FILES
@given(st.lists(images(WORDS, EXTRA), max_size=4), st.dictionaries(WORDS, JSON, max_size=2))
def test_coco_comes_back_to_the_bit(tmp_path_factory, listed, header):
    header = {k: v for k, v in header.items() if k not in ("images", "annotations", "categories")}
    path = tmp_path_factory.mktemp("coco") / "boxes.json"
    assert write_boxes(listed, path, "coco", header=header) == ()
    found = read_boxes(path)
    assert list(found.images) == listed
    assert {k: v for k, v in found.header.items() if k != "categories"} == header
    assert found.skipped == ()


@FILES
@given(st.floats(-4e8, 4e8), st.floats(-4e8, 4e8))
def test_coco_corners_are_exact_even_where_no_width_is(tmp_path_factory, a, b):
    x0, x1 = sorted((a, b))
    if x1 <= x0:
        return
    path = tmp_path_factory.mktemp("coco") / "boxes.json"
    write_boxes([ImageBoxes("a.png", 9, 9, (Box(x0, 1, x1, 2),))], path, "coco")
    (box,) = read_boxes(path).images[0].boxes
    assert (box.x0, box.x1) == (x0, x1)


@FILES
@given(st.lists(images(PLAIN, st.just({})), min_size=1, max_size=4))
def test_voc_comes_back_to_the_bit(tmp_path_factory, listed):
    folder = tmp_path_factory.mktemp("voc")
    assert write_boxes(listed, folder, "voc") == ()
    assert sorted(read_boxes(folder).images, key=repr) == sorted(listed, key=repr)


@FILES
@given(st.data(), SIDES, SIDES)
def test_yolo_comes_back_to_a_billionth(tmp_path_factory, data, width, height):
    inside = st.tuples(spans(0.0, float(width), 1e-3), spans(0.0, float(height), 1e-3))
    drawn = data.draw(st.lists(st.tuples(inside, SCORES, WORDS), max_size=4))
    want = [Box(x[0], y[0], x[1], y[1], score, "", word) for (x, y), score, word in drawn]
    folder = tmp_path_factory.mktemp("yolo") / "set"
    name = data.draw(NAMES)
    write_boxes([ImageBoxes(name, width, height, tuple(want))], folder, "yolo")
    (image,) = read_boxes(folder).images
    assert (image.file_name, image.width, image.height) == (name, width, height)
    assert [(b.score, b.category) for b in image.boxes] == [(b.score, b.category) for b in want]
    for ours, theirs in zip(image.boxes, want, strict=True):
        for side in ("x0", "y0", "x1", "y1"):
            a, b = getattr(ours, side), getattr(theirs, side)
            assert math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)


@FILES
@given(st.tuples(*[st.integers(0, 4000)] * 4), st.integers(4000, 9000))
def test_whole_pixels_come_back_from_yolo_exactly(tmp_path_factory, numbers, side):
    x0, y0, width, height = numbers
    want = Box(x0, y0, x0 + width + 1, y0 + height + 1)
    folder = tmp_path_factory.mktemp("yolo")
    write_boxes([ImageBoxes("a.png", side, side + 7, (want,))], folder, "yolo")
    assert read_boxes(folder).images[0].boxes == (want,)


@pytest.mark.parametrize(
    "name", ["\x85", "a\u2028b", "yes", "1", "- x: [y]", "# no", "é", "😀", "a" * 300]
)
def test_class_names_that_yaml_might_change_come_back_from_yolo(tmp_path, name):
    write_boxes([ImageBoxes("a.png", 9, 9, (Box(0, 0, 1, 1, category=name),))], tmp_path, "yolo")
    assert read_boxes(tmp_path).images[0].boxes[0].category == name


def test_order_of_the_images_comes_back_from_yolo(tmp_path):
    listed = [ImageBoxes(f"{name}.png", 9, 9) for name in ("b", "a10", "a2", "c")]
    write_boxes(listed, tmp_path, "yolo")
    assert list(read_boxes(tmp_path).images) == listed


@pytest.mark.parametrize("way", [("voc", "coco"), ("coco", "voc"), ("voc", "voc")])
def test_formats_one_after_the_other_keep_score_letter_and_class(tmp_path, way):
    want = ImageBoxes("fig.png", 800, 600, (Box(1.5, 2, 30, 40.25, 0.75, "a", "plot"),))
    found = [want]
    for step, name in enumerate(way):
        write_boxes(found, tmp_path / f"{step}.{'json' if name == 'coco' else 'd'}", name)
        found = read_boxes(tmp_path / f"{step}.{'json' if name == 'coco' else 'd'}").images
    assert list(found) == [want]


def test_two_pictures_of_one_stem_have_a_label_file_each(tmp_path):
    listed = [ImageBoxes(name, 9, 9, (Box(i, 0, i + 1, 1),)) for i, name in
              enumerate(("a.png", "a.jpg", "d/a.png", "A.PNG"))]  # fmt: skip
    for name in ("yolo", "voc"):
        write_boxes(listed, tmp_path / name, name)
        assert {i.file_name: i.boxes for i in read_boxes(tmp_path / name).images} == {
            i.file_name: i.boxes for i in listed
        }


def test_yolo_says_what_it_cannot_hold(tmp_path):
    lost = write_boxes([ImageBoxes("a.png", 9, 9, (Box(0, 0, 1, 1, label="a"),))], tmp_path, "yolo")
    assert lost == ("YOLO has no place for panel letters: 1 left out",)


def test_yolo_of_unknown_size_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match=r"size of 'a.png' is unknown, and of 1 more"):
        write_boxes([ImageBoxes("a.png", 0, 0), ImageBoxes("b.png", 0, 5)], tmp_path / "o", "yolo")
    assert not (tmp_path / "o").exists()


def test_voc_writes_whole_numbers_without_a_point(tmp_path):
    write_boxes([ImageBoxes("a.png", 9, 9, (Box(1, 2.0, 3.5, 4),))], tmp_path / "a.xml", "voc")
    text = (tmp_path / "a.xml").read_text()
    assert "<xmin>1</xmin>" in text
    assert "<ymin>2</ymin>" in text
    assert "<xmax>3.5</xmax>" in text


def test_voc_replaces_what_xml_cannot_hold_and_says_so(tmp_path):
    lost = write_boxes([ImageBoxes("a\x01.png", 9, 9)], tmp_path / "a.xml", "voc")
    assert "cannot" in lost[0]
    assert read_boxes(tmp_path / "a.xml").images[0].file_name == "a\ufffd.png"


def test_voc_file_for_two_images_is_refused(tmp_path):
    with pytest.raises(UserError, match="Give a folder"):
        write_boxes([ImageBoxes("a.png", 9, 9)] * 2, tmp_path / "a.xml", "voc")


def test_coco_keeps_ids_categories_and_other_fields(tmp_path):
    content = {
        "info": {"version": 3},
        "licenses": [{"id": 4, "name": "CC0"}],
        "images": [{"id": 7, "file_name": "a.png", "width": 9, "height": 8, "license": 4}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 5, "bbox": [0, 0, 2, 3]}],
        "categories": [{"id": 2, "name": "unused"}, {"id": 5, "name": "cell", "color": "red"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = read_boxes(tmp_path / "a.json")
    write_boxes(found.images, tmp_path / "b.json", "coco", header=found.header)
    again = json.loads((tmp_path / "b.json").read_text())
    for key in ("info", "licenses", "images", "categories"):
        assert again[key] == content[key]
    assert again["annotations"][0]["image_id"] == 7
    assert again["annotations"][0]["category_id"] == 5


def test_coco_of_images_from_two_files_has_ids_of_its_own(tmp_path):
    listed = [ImageBoxes(f"{n}.png", 9, 9, (Box(0, 0, 1, 1),), {"id": 1}) for n in "abc"]
    write_boxes(listed, tmp_path / "a.json", "coco")
    raw = json.loads((tmp_path / "a.json").read_text())
    assert len({entry["id"] for entry in raw["images"]}) == 3
    assert [i.file_name for i in read_boxes(tmp_path / "a.json").images] == [
        "a.png",
        "b.png",
        "c.png",
    ]


def test_field_that_json_cannot_hold_is_one_line_and_no_file(tmp_path):
    for value in (float("nan"), {1, 2}):
        with pytest.raises(UserError, match="cannot be put into JSON"):
            write_boxes([ImageBoxes("a", 1, 1, (), {"x": value})], tmp_path / "a.json", "coco")
    assert not list(tmp_path.iterdir())


def test_unknown_format_names_the_known_ones(tmp_path):
    with pytest.raises(UserError, match="coco, yolo, voc"):
        write_boxes([], tmp_path / "a", "tfrecord")
