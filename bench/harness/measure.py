"""Alternating runs, medians, pairwise ratios, exponents, and the lines of the table."""

import dataclasses
import math
import statistics


@dataclasses.dataclass
class Line:
    """A line of the table. `met` is None if there is no goal."""

    what: str
    ours: str
    peer: str
    ratio: str
    goal: str = ""
    met: bool | None = None


def in_turn(ours, peer, pairs=3):
    """Runs both alternately, A B A B A B, so that what slows the machine for a while slows both."""
    return [(ours(), peer()) for _ in range(pairs)]


def against(what, unit, pairs, at_least=None, at_most=None):
    """Compares our figures with a peer's, pair by pair."""
    ours, peer = zip(*pairs)
    ratios = [a / b for a, b in pairs]
    goal, met = judged(statistics.median(ratios), at_least, at_most, "×")
    return Line(what, spread(ours, unit), spread(peer, unit), spread(ratios, "×"), goal, met)


def alone(what, unit, figures, at_most=None):
    """Compares our figures with a fixed goal."""
    goal, met = judged(statistics.median(figures), None, at_most, f" {unit}")
    return Line(what, spread(figures, unit), "", "", goal, met)


def exponent(what, sizes, seconds, at_most):
    """The growth of time with size: the slope of a line through all points on logarithmic scales."""
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in seconds]
    slope = statistics.linear_regression(x, y).slope
    goal, met = judged(slope, None, at_most, "")
    points = ", ".join(f"{figure(value * 1e3)} ms" if value < 1 else f"{figure(value)} s" for value in seconds)
    return Line(what, points, "", f"{slope:.2f}", goal, met)


def judged(value, at_least, at_most, unit):
    if at_least is not None:
        return f"≥ {at_least:g}{unit}", value >= at_least
    if at_most is not None:
        return f"≤ {at_most:g}{unit}", value <= at_most
    return "", None


def spread(figures, unit):
    """The median, and the range if there are several figures."""
    gap = "" if unit in ("×", "") else " "
    text = f"{figure(statistics.median(figures))}{gap}{unit}"
    return text if len(figures) == 1 else f"{text} ({figure(min(figures))}–{figure(max(figures))})"


def figure(value):
    """Three significant digits."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def table(lines):
    """The lines as a Markdown table."""
    signs = {None: "", True: "yes", False: "**no**"}
    head = ["path", "Tally", "peer", "ratio", "goal", "met"]
    rows = [[line.what, line.ours, line.peer, line.ratio, line.goal, signs[line.met]] for line in lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])
