"""Curves as drawings."""

from tasks.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, chart, charts, figures


def points(line: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.split())]


def test_the_curve_fills_the_drawing_and_higher_values_are_higher():
    drawn = chart("loss", [(0, 2.0), (50, 1.5), (100, 1.0)])
    assert drawn
    assert points(drawn.line) == [
        (LEFT, TOP),
        ((LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2),
        (WIDTH - RIGHT, HEIGHT - BOTTOM),
    ]
    assert (drawn.first, drawn.last) == (2.0, 1.0)


def test_values_that_are_not_finite_are_counted_and_left_out():
    drawn = chart("loss", [(1, 2.0), (2, float("nan")), (3, float("inf")), (4, 1.0)])
    assert drawn
    assert drawn.lost == 2
    assert len(points(drawn.line)) == 2


def test_a_constant_curve_is_a_line_in_the_middle():
    drawn = chart("lr", [(1, 0.5), (2, 0.5)])
    assert drawn
    assert {y for _, y in points(drawn.line)} == {(TOP + HEIGHT - BOTTOM) / 2}


def test_less_than_two_values_is_a_figure_and_not_a_curve():
    curves = {"train_loss": [(10, 0.3)], "loss": [(1, 1.0), (2, 0.5)], "broken": [(1, float("nan")), (2, 1.0)]}
    assert [c.name for c in charts(curves)] == ["loss"]
    assert figures(curves) == {"train_loss": 0.3}


def test_steps_out_of_order_are_put_in_order_and_the_loss_comes_first():
    drawn = charts({"a": [(2, 1.0), (1, 2.0)], "loss": [(2, 1.0), (1, 2.0)]})
    assert [c.name for c in drawn] == ["loss", "a"]
    assert drawn[0].first == 2.0
