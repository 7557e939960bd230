"""Figures as SVG, which every browser shows: rows as multiples of the floor, and what changes with growth as lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from .contenders.table import CONTENDERS
from .figures import Run
from .report import title

__all__ = ["Line", "growth", "ratios"]

Line = Sequence[tuple[float, float]]

_COLOURS = ("#d1495b", "#00798c", "#edae49", "#30638e", "#6a994e", "#7b2cbf", "#555555", "#b08968", "#0b132b")
_WIDTH, _LEFT, _ROW, _TOP = 900, 260, 18, 60
_STYLE = "<style>text{font:12px sans-serif;fill:#222}.faint{stroke:#ccc}.h{font-weight:bold}</style>"


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="faint"/>'


def _document(height: float, parts: Sequence[str]) -> str:
    # A page may be dark; the figure has a ground of its own.
    ground = f'<rect width="{_WIDTH}" height="{height:.0f}" fill="#fff"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}">'
    return "\n".join((head, _STYLE, ground, *parts, "</svg>")) + "\n"


def _legend(names: Sequence[str], y: float) -> list[str]:
    step = (_WIDTH - 20) / max(1, len(names))
    return [
        part
        for index, name in enumerate(names)
        for part in (
            f'<circle cx="{14 + index * step:.1f}" cy="{y - 4:.1f}" r="4" fill="{_COLOURS[index % len(_COLOURS)]}"/>',
            _text(22 + index * step, y, name),
        )
    ]


def ratios(run: Run) -> str:
    """Every row's contenders as multiples of the floor, on a logarithmic axis."""
    names = [known.name for known in CONTENDERS if any(one.contender == known.name for one in run.measured)]
    points = [(one, ratio) for one in run.measured if (ratio := run.to_floor(one))]
    low, high = 0.5, max(10.0, *(ratio for _, ratio in points), 10.0)

    def across(ratio: float) -> float:
        scale = math.log(max(ratio, low) / low) / math.log(high / low)
        return _LEFT + scale * (_WIDTH - _LEFT - 20)

    lines = [line for line in run.lines() if any((one.token, one.row, one.threads) == line for one, _ in points)]
    bottom = _TOP + _ROW * len(lines)
    parts = [
        _text(
            10, 20, f"CPU time as a multiple of the floor, {run.commit}, {run.machine.get('processor', '')}", kind="h"
        )
    ]
    parts += _legend(names, 40)
    for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000):
        if tick <= high:
            parts += [
                _rule(across(tick), _TOP - 6, across(tick), bottom),
                _text(across(tick), bottom + 14, str(tick), "middle"),
            ]
    for index, (token, row, threads) in enumerate(lines):
        y = _TOP + _ROW * index + 10
        parts.append(_text(_LEFT - 8, y, f"{token}: {title(row, threads)}", "end"))
        for one, ratio in points:
            if (one.token, one.row, one.threads) == (token, row, threads):
                colour = _COLOURS[names.index(one.contender) % len(_COLOURS)]
                parts.append(f'<circle cx="{across(ratio):.1f}" cy="{y - 4:.1f}" r="4" fill="{colour}"/>')
    return _document(bottom + 24, parts)


def _tick(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _panel(name: str, lines: Mapping[str, Line], top: float, height: float) -> list[str]:
    points = [point for line in lines.values() for point in line]
    furthest = max((x for x, _ in points), default=1.0) or 1.0
    highest = max((y for _, y in points), default=1.0) * 1.1 or 1.0
    left, right, bottom = 80, _WIDTH - 20, top + height - 30

    def place(x: float, y: float) -> tuple[float, float]:
        return left + x / furthest * (right - left), bottom - y / highest * (height - 70)

    parts = [_text(10, top + 14, name, kind="h"), *_legend(list(lines), top + 32)]
    for share in (0, 0.5, 1):
        y = place(0, highest * share)[1]
        parts += [_rule(left, y, right, y), _text(left - 6, y + 4, _tick(highest * share), "end")]
        parts.append(_text(place(furthest * share, 0)[0], bottom + 16, _tick(furthest * share), "middle"))
    for index, line in enumerate(lines.values()):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{_COLOURS[index % len(_COLOURS)]}" stroke-width="2"/>'
        )
    return parts


def growth(panels: Mapping[str, Mapping[str, Line]]) -> str:
    """One panel under another: its title, and lines by name."""
    height = 220
    parts = [
        part
        for index, (name, lines) in enumerate(panels.items())
        for part in _panel(name, lines, index * height, height)
    ]
    return _document(height * max(1, len(panels)), parts)
