"""Line charts as plain numbers for inline SVG: small, deterministic, and coloured by the page's own style sheet."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Curve = Sequence[tuple[int, float]]
Tick = tuple[float, str]  # position in the drawing, label

WIDTH, HEIGHT = 340, 150
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 10, 20
FIRST_NAMES = ("loss", "eval_loss", "rewards/accuracies", "rewards/margins", "learning_rate", "grad_norm")


@dataclass(frozen=True)
class Chart:
    """One metric over optimizer steps, in the coordinates of a WIDTH x HEIGHT drawing."""

    name: str
    line: str  # the points of a polyline
    area: str  # the same, closed along the lower edge
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    first: float
    last: float
    lost: int  # values that are not finite and so are not drawn


def charts(curves: Mapping[str, Curve]) -> list[Chart]:
    """The metrics that have at least two finite values, the best known ones first, then by name."""
    order = {name: place for place, name in enumerate(FIRST_NAMES)}
    names = sorted(curves, key=lambda name: (order.get(name, len(order)), name))
    return [drawn for name in names if (drawn := chart(name, curves[name])) is not None]


def figures(curves: Mapping[str, Curve]) -> dict[str, float]:
    """The metrics with a single value, by name."""
    return {name: curves[name][0][1] for name in sorted(curves) if len(curves[name]) == 1}


def chart(name: str, curve: Curve) -> Chart | None:
    """Scale a curve into the drawing; None when there are fewer than two finite values."""
    points = sorted((step, value) for step, value in curve if math.isfinite(value))
    if len(points) < 2:
        return None
    steps, values = [s for s, _ in points], [v for _, v in points]
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 1, high + 1
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    span = max(steps[-1] - steps[0], 1)

    def x(step: float) -> float:
        return round(LEFT + width * (step - steps[0]) / span, 1)

    def y(value: float) -> float:
        return round(TOP + height * (high - value) / (high - low), 1)

    line = " ".join(f"{x(step)},{y(value)}" for step, value in points)
    floor = HEIGHT - BOTTOM
    return Chart(
        name=name,
        line=line,
        area=f"{x(steps[0])},{floor} {line} {x(steps[-1])},{floor}",
        x_ticks=tuple((x(step), str(step)) for step in (steps[0], steps[-1])),
        y_ticks=tuple((y(value), f"{value:.3g}") for value in (high, (low + high) / 2, low)),
        first=values[0],
        last=values[-1],
        lost=len(curve) - len(points),
    )
