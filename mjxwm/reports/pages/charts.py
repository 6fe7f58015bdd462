"""Line charts as SVG: legible at the width that they are drawn for, in light, dark and print.

Colours are those of the page's style; the page's script reads values off a line under the pointer.
"""

import html
import itertools
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from mjxwm.reports.pages.scales import Kind, Scale, number, scale

COLOURS = 8
"""Colours of lines; more lines take them again, dashed."""
INK = -1
"""The colour of text, for what others are compared with."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 10, 34
_FEW = 40
"""Up to so many points of a line have a mark each."""


class Line(NamedTuple):
    """A line of a chart; where its values are not finite it is interrupted."""

    name: str
    """For the legend and the pointer; without a name it is in neither."""
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    """Lower end of the band around it, with `high`."""
    high: Sequence[float] | None = None
    colour: int = 0
    """Number of the colour, or `INK`."""
    style: Literal["solid", "faint", "dashed", "points"] = "solid"


class Chart(NamedTuple):
    """What is drawn."""

    lines: Sequence[Line]
    x: str
    """Name of the horizontal axis, with its unit."""
    kinds: tuple[Kind, Kind] = ("linear", "linear")
    """Kinds of the horizontal and of the vertical axis."""
    zero: bool = False
    """Whether the vertical axis shows 0."""
    levels: Sequence[tuple[float, str]] = ()
    """Horizontal lines: the value, and what it is."""


def drawn(chart: Chart) -> bool:
    """Whether there is a value to draw."""
    return any(_finite(line) for line in chart.lines)


def svg(chart: Chart, width: int = 380, height: int = 230, title: str = "") -> str:
    """The chart.

    Args:
        chart: what is drawn.
        width: what it is to be shown at, about [pixels].
        height: likewise.
        title: what it is, for those who cannot see it.
    """
    shown = [line for line in chart.lines if _finite(line)]
    x_scale = scale([x for line in shown for x, *_ in _finite(line)], chart.kinds[0])
    x_scale = _tight(x_scale, shown)
    among = slice(0, 2 if chart.kinds[1] == "log" else 3)  # a band may reach down to 0
    heights = [
        v for line in shown for _, y, *band in _finite(line) for v in (y, *band[::-1])[among]
    ]
    y_scale = scale([*heights, *(level for level, _ in chart.levels)], chart.kinds[1], chart.zero)
    shown = [_above_zero(line, x_scale.kind, y_scale.kind) for line in shown]
    frame = _Frame(x_scale, y_scale, width, height)
    parts = [*frame.grid(chart.x), *(frame.level(*level) for level in chart.levels)]
    parts += [frame.band(line) for line in shown if line.low is not None]
    for line in sorted(shown, key=lambda line: line.style != "faint"):
        parts += frame.line(line)
    described = html.escape(title or chart.x, quote=True)
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{described}" '
        f'data-x="{frame.described_x()}" data-y="{frame.described_y()}">{"".join(parts)}</svg>'
    )


def legend(chart: Chart) -> str:
    """What the lines are, as HTML; empty where one line needs no name."""
    names = [line for line in chart.lines if line.name and _finite(line)]
    if len(names) < 2 and not any(line.low is not None for line in names):
        return ""
    items = []
    for line in names:
        swatch = f'<i class="{_classes(line)}"></i>'
        items.append(f"<li>{swatch}{html.escape(line.name)}</li>")
    return f'<ul class="legend">{"".join(items)}</ul>'


def _tight(axis: Scale, lines: Sequence[Line]) -> Scale:
    """The horizontal axis from the first to the last value, without room at its ends."""
    values = [x for line in lines for x, *_ in _finite(line)]
    if axis.kind != "linear" or not values or min(values) == max(values):
        return axis
    return Scale(min(values), max(values))


def _finite(line: Line) -> list[tuple[float, ...]]:
    """(x, y) or (x, y, low, high) of the points that can be drawn."""
    ends = [line.low, line.high] if line.low is not None and line.high is not None else []
    rows = []
    for x, y, *band in zip(line.x, line.y, *ends, strict=True):
        if _is_finite(x) and _is_finite(y):
            around = band if all(map(_is_finite, band)) else [y] * len(band)
            rows.append(tuple(map(float, (x, y, *around))))
    return rows


def _above_zero(line: Line, x_kind: Kind, y_kind: Kind) -> Line:
    """A line without the points that logarithmic axes cannot show."""
    x, y = (
        [v if kind != "log" or (_is_finite(v) and v > 0) else math.nan for v in values]
        for values, kind in ((line.x, x_kind), (line.y, y_kind))
    )
    ends = line.low, line.high
    if y_kind == "log" and line.low is not None and line.high is not None:
        least = min((v for v in y if _is_finite(v)), default=math.nan)
        ends = tuple([max(v, least / 10) if _is_finite(v) else v for v in end] for end in
                     (line.low, line.high))  # fmt: skip
    return line._replace(x=x, y=y, low=ends[0], high=ends[1])


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _classes(line: Line) -> str:
    colour = "ink" if line.colour == INK else f"c{line.colour % COLOURS}"
    again = line.colour >= COLOURS and line.style == "solid"
    return f"{colour} {'dashed' if again else line.style}"


class _Frame(NamedTuple):
    """The place of axes and lines."""

    x_scale: Scale
    y_scale: Scale
    width: int
    height: int

    def x(self, value: float) -> float:
        return _LEFT + self.x_scale.place(value) * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        room = self.height - _TOP - _BOTTOM
        return _TOP + (1 - self.y_scale.place(value)) * room

    def described_x(self) -> str:
        """Ends of the axis in values and pixels, and its kind, for the page's script."""
        s = self.x_scale
        return f"{s.low:.9g} {s.high:.9g} {_LEFT} {self.width - _RIGHT} {s.kind} {s.linear:g}"

    def described_y(self) -> str:
        s = self.y_scale
        return f"{s.low:.9g} {s.high:.9g} {self.height - _BOTTOM} {_TOP} {s.kind} {s.linear:g}"

    def grid(self, x_name: str) -> list[str]:
        """Lines and words of both axes."""
        bottom, right = self.height - _BOTTOM, self.width - _RIGHT
        parts = []
        for value in self.y_scale.ticks():
            at = self.y(value)
            parts.append(f'<path class="grid" d="M{_LEFT} {at:.1f}H{right}"/>')
            parts.append(_text(_LEFT - 6, at + 4, number(value), "end"))
        last = -math.inf
        for value in self.x_scale.ticks():
            at, word = self.x(value), number(value)
            if at - last < 7 * len(word) + 8 or not _LEFT - 1 <= at <= right + 1:
                continue
            last = at
            parts.append(f'<path class="grid" d="M{at:.1f} {_TOP}V{bottom}"/>')
            anchor = "end" if at > right - 8 else "middle"
            parts.append(_text(at, bottom + 15, word, anchor))
        parts.append(f'<path class="axis" d="M{_LEFT} {bottom}H{right}"/>')
        parts.append(_text((_LEFT + right) / 2, bottom + 30, x_name, "middle"))
        return parts

    def level(self, value: float, what: str) -> str:
        at, right = self.y(value), self.width - _RIGHT
        word = _text(right, at - 4 if at > _TOP + 14 else at + 13, what, "end")
        return f'<path class="level" d="M{_LEFT} {at:.1f}H{right}"/>{word}'

    def band(self, line: Line) -> str:
        rows = _finite(line)
        upper = [f"{self.x(x):.1f},{self.y(high):.1f}" for x, _, _, high in rows]
        lower = [f"{self.x(x):.1f},{self.y(low):.1f}" for x, _, low, _ in reversed(rows)]
        if len(rows) == 1:
            x, _, low, high = rows[0]
            ends = f"M{self.x(x):.1f} {self.y(low):.1f}V{self.y(high):.1f}"
            return f'<path class="bar {_classes(line)}" d="{ends}"/>'
        return f'<polygon class="band {_classes(line)}" points="{" ".join(upper + lower)}"/>'

    def line(self, line: Line) -> list[str]:
        """The parts of a line between values that are not finite, and the marks of its points."""
        name = f' data-name="{html.escape(line.name, quote=True)}"' if line.name else ""
        classes, parts = _classes(line), []
        whole = [_is_finite(x) and _is_finite(y) for x, y in zip(line.x, line.y, strict=True)]
        places = zip(line.x, line.y, whole, strict=True)
        for finite, part in itertools.groupby(places, key=lambda place: place[2]):
            if not finite:
                continue
            points = [f"{self.x(float(x)):.1f},{self.y(float(y)):.1f}" for x, y, _ in part]
            parts.append(f'<polyline class="{classes}"{name} points="{" ".join(points)}"/>')
        count = sum(whole)
        if line.style == "points" or (count <= _FEW and line.style != "faint"):
            places = zip(line.x, line.y, whole, strict=True)
            parts += [
                f'<circle class="{classes}" cx="{self.x(float(x)):.1f}" '
                f'cy="{self.y(float(y)):.1f}" r="2.5"/>'
                for x, y, finite in places
                if finite
            ]
        return parts


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(words)}</text>'
