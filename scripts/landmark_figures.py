"""Draw matches and similarity maps of landmarks, as the documentation shows them.

    python scripts/landmark_figures.py --images 3 --out docs/images/landmark_matches.png
    python scripts/landmark_figures.py --data marked/ --template a.png --images 4 --out figure.png

A row an image, the template first. Left are the places that were found (crosses, with how like
the template they look, or "absent?" where they are not to be believed), and the truth where it is
known (rings). Then, for each landmark, how like it every cell of the image looks, wherever it is.
Without --data the made-up views of a retina are used, whose truth is not known but in the first.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from demo_landmarks import PLACES, write_views
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage.transform import resize

from napari_medssl.backend.evaluate_landmarks import KnownImage, read_known_images
from napari_medssl.backend.landmark_choice import choose_landmark_model
from napari_medssl.backend.landmark_features import FeatureStore
from napari_medssl.backend.landmark_matcher import LandmarkMatcher
from napari_medssl.backend.landmark_models import load_landmark_model
from napari_medssl.backend.landmark_values import Place, SimilarityPicture, Template
from napari_medssl.io.files import write_whole
from napari_medssl.io.images import ImageRef, read_image

COLORS = ((255, 176, 0), (120, 160, 255), (254, 110, 220), (120, 220, 120), (255, 120, 70))
WIDTH, GAP, HEAD = 240, 6, 20


def known_images(data: Path | None, template: str, count: int) -> list[KnownImage]:
    """Return the template, then as many other images."""
    if data is None:
        with tempfile.TemporaryDirectory() as folder:
            paths = sorted(write_views(Path(folder) / "views").iterdir())[: count + 1]
            pixels = [read_image(ImageRef(path), robust=True) for path in paths]
        points = [PLACES, *({} for _ in paths[1:])]
        names = [path.stem for path in paths]
        return [KnownImage(*image) for image in zip(names, pixels, points, strict=True)]
    images, _ = read_known_images(data)
    first = next((image for image in images if image.name == template), images[0])
    return [first, *[image for image in images if image is not first][:count]]


def panel(image: KnownImage) -> Image.Image:
    """Return an image at the width of a panel."""
    height = round(WIDTH * image.pixels.shape[0] / image.width)
    return Image.fromarray(image.pixels.squeeze()).convert("RGB").resize((WIDTH, height))


def at(place: Place, image: KnownImage) -> Place:
    """Return a place of an image in its panel."""
    scale = WIDTH / image.width
    return (place[0] + 0.5) * scale - 0.5, (place[1] + 0.5) * scale - 0.5


def draw_map(seen: SimilarityPicture, image: KnownImage) -> Image.Image:
    """Return a similarity map over its image, from none (dark) to a cosine of 1 (bright)."""
    grey = np.asarray(panel(image).convert("L"), np.float32) / 255
    share = resize(np.clip(seen.values, 0, 1), grey.shape, order=1)[..., None]
    low, high = np.array([0.10, 0.05, 0.25]), np.array([1.0, 0.85, 0.25])
    colored = (1 - share) * low + share * high
    mixed = (0.35 * grey[..., None] + 0.65 * colored) * 255
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def mark(draw: ImageDraw.ImageDraw, place: Place, color: tuple[int, ...], is_truth: bool) -> None:
    """Draw a cross at a place that was found, or a ring at a true one."""
    x, y = place
    if is_truth:
        draw.ellipse((x - 7, y - 7, x + 7, y + 7), outline=color, width=2)
    else:
        draw.line((x - 6, y, x + 6, y), fill=color, width=2)
        draw.line((x, y - 6, x, y + 6), fill=color, width=2)


def row_of(image: KnownImage, matcher: LandmarkMatcher, store: FeatureStore) -> list[Image.Image]:
    """Return the panels of an image: the places in it, then the map of each landmark."""
    features = store.features(image.pixels)
    places = panel(image)
    draw = ImageDraw.Draw(places)
    maps = []
    for match, color in zip(matcher.match(features, count=1), cycle(COLORS), strict=False):
        if match.label in image.points:
            mark(draw, at(image.points[match.label], image), color, is_truth=True)
        x, y = at((match.best.x, match.best.y), image)
        mark(draw, (x, y), color, is_truth=False)
        told = f"{match.best.score:.2f}" if match.is_present else "absent?"
        draw.text((x + 8, y - 12), told, fill=color, stroke_width=1, stroke_fill=(0, 0, 0))
        one = draw_map(matcher.similarity(features, match.label), image)
        mark(ImageDraw.Draw(one), (x, y), color, is_truth=False)
        maps.append(one)
    return [places, *maps]


def put_together(rows: Sequence[Sequence[Image.Image]], heads: Sequence[str]) -> Image.Image:
    """Return panels in rows under the heads of their columns."""
    heights = [max(one.height for one in row) for row in rows]
    size = (len(heads) * (WIDTH + GAP) - GAP, HEAD + sum(heights) + GAP * (len(rows) - 1))
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    for column, head in enumerate(heads):
        left = column * (WIDTH + GAP)
        draw.text((left + 2, 4), head, fill=(30, 30, 30))
        if column:
            color = COLORS[(column - 1) % len(COLORS)]
            draw.rectangle((left, HEAD - 3, left + WIDTH - 1, HEAD - 1), fill=color)
    top = HEAD
    for row, height in zip(rows, heights, strict=True):
        for column, one in enumerate(row):
            canvas.paste(one, (column * (WIDTH + GAP), top))
        top += height + GAP
    return canvas


def as_png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def pixels_of(images: Sequence[KnownImage]) -> list[NDArray[np.uint8]]:
    return [image.pixels for image in images]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="as of medssl evaluate landmarks")
    parser.add_argument("--template", default="", help="name of its image; by default the first")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--model", help="by default the one that fits")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    images = known_images(arguments.data, arguments.template, arguments.images)
    model = load_landmark_model(arguments.model or choose_landmark_model(pixels_of(images[:1])))
    store = FeatureStore(model)
    template = Template(store.features(images[0].pixels), images[0].points)
    matcher = LandmarkMatcher([template], model.info.settings)
    rows = [row_of(image, matcher, store) for image in images]
    write_whole(arguments.out, as_png(put_together(rows, ["found", *matcher.labels])))
    print(f"{arguments.out}: {len(images)} images by {model.info.name}")


if __name__ == "__main__":
    main()
