"""The choices that hold for one whole simulated figure."""

from __future__ import annotations

from dataclasses import dataclass

from napari_medssl.methods.simcfs.pool import Pool
from napari_medssl.methods.simcfs.theme import Color, Rng, Theme, random_theme

PHOTO_FAMILIES = ("photos", "variants")

_GROUNDS: tuple[Color, ...] = ((255, 255, 255), (0, 0, 0), (128, 128, 128), (240, 240, 240))
_LETTER_FORMS = ("{}", "{}", "{}", "({})", "{})", "{}.", "({})")
_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii")


@dataclass(frozen=True)
class Style:
    """Family of content, canvas, gap, letters and look of one figure.

    `family` is "photos", "variants" (one image shown in several ways), "plots" or "mixed";
    `letters` is "none", "inside" or "outside" the image it names; in a `multipart` figure most
    letters name several images or plots.
    """

    family: str
    ground: Color
    gap: float
    letters: str
    multipart: bool
    letter_form: str
    letter_case: str
    letter_size: int
    one_class: str | None
    theme: Theme
    touching: bool
    titles: bool
    framed: bool

    @property
    def is_photo(self) -> bool:
        """Whether every panel is an image."""
        return self.family in PHOTO_FAMILIES

    @property
    def is_dark(self) -> bool:
        """Whether the canvas is dark."""
        return sum(self.ground) < 300

    def letter(self, k: int) -> str:
        """Return the letter of panel `k` in this figure's form."""
        if self.letter_case == "digit":
            text = str(k + 1)
        elif self.letter_case == "roman":
            text = _ROMAN[k % len(_ROMAN)]
        else:
            text = chr(ord("a") + k % 26)
            text = text.upper() if self.letter_case == "upper" else text
        return self.letter_form.format(text)


def random_style(rng: Rng, pool: Pool, *, intra_class: bool) -> Style:
    """Draw the style of a figure; without `intra_class` no panels touch and classes mix."""
    family = str(rng.choice(["photos", "variants", "plots", "mixed"], p=[0.26, 0.12, 0.27, 0.35]))
    photo = family in PHOTO_FAMILIES
    dark = 0.22 if photo else 0.05
    ground = _GROUNDS[rng.choice(4, p=[0.94 - dark, dark, 0.03, 0.03])]
    touching = bool(photo and intra_class and rng.random() < 0.3)
    narrow = photo and rng.random() < 0.35
    gap = 0.0 if touching else float(rng.integers(1, 7) if narrow else rng.integers(4, 36))
    lettered = rng.random() < {"photos": 0.4, "variants": 0.15, "plots": 0.5, "mixed": 0.85}[family]
    inside = photo and (touching or gap < 12 or rng.random() < 0.6)
    same = photo and intra_class and rng.random() < 0.6
    size = int(rng.integers(9, 17))
    letters = ("inside" if inside else "outside") if lettered else "none"
    multipart = {"none": 0.0, "inside": 0.15, "outside": 0.2 if photo else 0.45}[letters]
    return Style(
        family=family,
        ground=ground,
        gap=gap,
        letters=letters,
        multipart=bool(rng.random() < multipart),
        letter_form=_LETTER_FORMS[rng.integers(len(_LETTER_FORMS))],
        letter_case=str(
            rng.choice(["lower", "upper", "digit", "roman"], p=[0.42, 0.46, 0.07, 0.05])
        ),
        letter_size=int(size * rng.uniform(1.1, 2.0)),
        one_class=pool.draw_class(rng) if same else None,
        theme=random_theme(rng, ground, size),
        touching=touching,
        titles=bool(gap > 14 and rng.random() < 0.4),
        framed=bool(rng.random() < 0.12),
    )
