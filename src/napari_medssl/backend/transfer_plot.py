"""Draw a comparison by transfer as SVG: a panel for each set, DSC over the labelled part."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from napari_medssl.backend.transfer_report import (
    ALL_CLASSES,
    RANDOM,
    STARTS,
    WEIGHTS,
    SetReport,
    TransferScore,
)

_WIDTH, _HEIGHT = 300, 260  # of a panel, in pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 30, 44  # around its axes
_LEGEND = 28
_STYLES = {  # told apart without colour as well
    RANDOM: ("#b35806", 'stroke-dasharray="5 3"'),
    WEIGHTS: ("#2166ac", ""),
}


def transfer_svg(sets: Sequence[SetReport]) -> str:
    """Return a drawing: the mean over classes, bars of one standard deviation over seeds."""
    width, height = _WIDTH * len(sets), _HEIGHT + _LEGEND
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for number, one in enumerate(sets):
        parts.append(f'<g transform="translate({number * _WIDTH} 0)">')
        parts += _panel(one)
        parts.append("</g>")
    parts += [*_legend(), "</svg>", ""]
    return "\n".join(parts)


def _panel(one: SetReport) -> Iterator[str]:
    scores = [score for score in one.scores() if score.name == ALL_CLASSES]
    low, high = _limits(scores)
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    yield f'<text x="{middle}" y="18" text-anchor="middle" font-size="13">{escape(one.name)}</text>'
    yield from _axes(sorted({score.percent for score in scores}), low, high)
    for start in STARTS:
        own = [score for score in scores if score.start == start]
        color, dashes = _STYLES[start]
        places = [(_x(s.percent), _y(s.mean, low, high)) for s in own]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2" {dashes}/>'
        for score, (x, y) in zip(own, places, strict=True):
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>'
            if score.std is not None:
                top, bottom = (_y(score.mean + d, low, high) for d in (score.std, -score.std))
                yield (
                    f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" '
                    f'stroke="{color}"/>'
                )


def _axes(percents: Sequence[int], low: float, high: float) -> Iterator[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    step = 0.05 if high - low <= 0.3 else 0.1 if high - low <= 0.6 else 0.2
    for number in range(round((high - low) / step) + 1):
        value = low + number * step
        if value > high + 1e-9:
            break
        y = _y(value, low, high)
        yield f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
        yield f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{value:.2f}</text>'
    for percent in percents:
        yield f'<text x="{_x(percent):.1f}" y="{bottom + 15}" text-anchor="middle">{percent}</text>'
    yield f'<line x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}" stroke="black"/>'
    middle = (_LEFT + right) / 2
    yield (
        f'<text x="{middle}" y="{bottom + 32}" text-anchor="middle">labelled training images, %'
        "</text>"
    )
    yield f'<text transform="translate(12 {(_TOP + bottom) / 2}) rotate(-90)">DSC</text>'


def _legend() -> Iterator[str]:
    for number, start in enumerate(STARTS):
        color, dashes = _STYLES[start]
        x, y = _LEFT + number * 110, _HEIGHT + 10
        yield f'<line x1="{x}" x2="{x + 26}" y1="{y}" y2="{y}" stroke="{color}" stroke-width="2" '
        yield f'{dashes}/><text x="{x + 32}" y="{y + 4}">{start}</text>'


def _limits(scores: Sequence[TransferScore]) -> tuple[float, float]:
    """Return the ends of the axis of DSC, tenths around every bar."""
    low = min(score.mean - (score.std or 0.0) for score in scores)
    high = max(score.mean + (score.std or 0.0) for score in scores)
    bottom = max(0.0, math.floor(low * 10) / 10)
    top = min(1.0, math.ceil(high * 10) / 10)
    return bottom, max(top, bottom + 0.1)


def _x(percent: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * percent / 100


def _y(value: float, low: float, high: float) -> float:
    bottom = _HEIGHT - _BOTTOM
    inside = min(max(value, low), high)  # a bar may reach below 0 or over 1
    return bottom - (bottom - _TOP) * (inside - low) / (high - low)
