"""A drawing area in inline SVG: scales, grid, axes and the marks that charts are made of. Pure.

Owns geometry and the words on axes. Refuses to know what is drawn. Colours are classes, which the page defines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape

Point = tuple[int, Decimal]

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 74, 14, 14, 28
Y_TICKS, X_TICKS = 4, 5
POINTS = 500  # of a line: more than a screen shows
_STEPS = tuple(Decimal(step) for step in ("1", "2", "2.5", "5", "10"))
_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


def nice(span: Decimal, count: int) -> Decimal:
    """A round step that cuts a span into about so many parts."""
    raw = span / count
    ten = Decimal(10) ** raw.adjusted()
    return next(ten * step for step in _STEPS if ten * step >= raw)


def thinned(points: Sequence[Point]) -> Sequence[Point]:
    """No more points than a screen shows; the last one stays."""
    every = -(-len(points) // POINTS)
    return points if every <= 1 else [*points[::every], points[-1]]


class Frame:
    """See the module. `first` and `last` are Unix ms, `low` and `high` values; there is some room around them."""

    def __init__(self, first: int, last: int, values: Iterable[Decimal], floor: Decimal | None = None) -> None:
        known = list(values)
        low, high = min(known), max(known)
        room = (high - low) / 12 or abs(high) / 1000 or Decimal(1)
        self.low = low - room if floor is None else floor
        self.high = high + room
        span = max(last - first, 1000)
        self.first, self.last = first - span // 60, first + span + span // 60
        self._marks: list[str] = []

    # --- scales -----------------------------------------------------------------------------------------

    def x(self, ts: int) -> str:
        """Where a time lies, within the frame."""
        inside = min(max(ts, self.first), self.last)
        return _px(LEFT + Decimal(WIDTH - LEFT - RIGHT) * (inside - self.first) / (self.last - self.first))

    def y(self, value: Decimal) -> str:
        """Where a value lies."""
        return _px(TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low))

    # --- marks ------------------------------------------------------------------------------------------

    def line(self, points: Sequence[Point], style: str) -> None:
        """A line through points."""
        if points:
            path = " ".join(f"{self.x(ts)},{self.y(value)}" for ts, value in thinned(points))
            self._marks.append(f'<polyline class="{style}" points="{path}"/>')

    def steps(self, points: Sequence[Point], style: str) -> None:
        """A line that keeps each value until the next."""
        path: list[str] = []
        for at, (ts, value) in enumerate(points):
            path.append(f"M{self.x(ts)} {self.y(value)}" if not at else f"H{self.x(ts)}V{self.y(value)}")
        if path:
            self._marks.append(f'<path class="{style}" d="{"".join(path)}"/>')

    def level(self, value: Decimal, style: str, words: str) -> None:
        """A horizontal line with its name at the right end."""
        at = self.y(value)
        self._marks.append(f'<line class="{style}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        self._marks.append(f'<text class="word" x="{WIDTH - RIGHT}" y="{_px(Decimal(at) - 5)}">{escape(words)}</text>')

    def dot(self, ts: int, value: Decimal, style: str, words: str) -> None:
        """A dot that says more under the pointer."""
        title = f"<title>{escape(words)}</title>"
        self._marks.append(f'<circle class="{style}" cx="{self.x(ts)}" cy="{self.y(value)}" r="4">{title}</circle>')

    # --- the whole --------------------------------------------------------------------------------------

    def svg(self, label: str) -> str:
        """The drawing. `label` is what it is called for those who can't see it."""
        head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label, quote=True)}">'
        return "".join([head, *self._grid(), *self._marks, "</svg>"])

    def _grid(self) -> Iterable[str]:
        step = nice(self.high - self.low, Y_TICKS)
        value = (self.low / step).to_integral_value(rounding="ROUND_CEILING") * step
        while value <= self.high:
            at = self.y(value)
            yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>'
            yield f'<text class="tick y" x="{LEFT - 8}" y="{_px(Decimal(at) + 4)}">{_tick(value, step)}</text>'
            value += step
        seconds = (self.last - self.first) // 1000
        pace = next((pace for pace in _SECONDS if seconds // pace <= X_TICKS), _SECONDS[-1] * (1 + seconds // 432000))
        ts = -(-self.first // (pace * 1000)) * pace * 1000
        form = "%H:%M:%S" if pace < 60 else "%H:%M" if pace < 86400 else "%m-%d"
        while ts <= self.last:
            told = datetime.fromtimestamp(ts / 1000, UTC).strftime(form)
            yield f'<text class="tick x" x="{self.x(ts)}" y="{HEIGHT - 8}">{told}</text>'
            ts += pace * 1000


def _px(value: Decimal) -> str:
    return f"{value:.1f}"


def _tick(value: Decimal, step: Decimal) -> str:
    places = max(0, -step.normalize().as_tuple().exponent)  # type: ignore[operator]  # a step is finite
    return f"{value:,.{places}f}"
