"""Charts as SVG made on the server: no text inside, so that words keep their size; colours with a pattern beside them."""

from __future__ import annotations

from markupsafe import Markup

from bot.console.figures import Figure

HEIGHT = 120


def bar(figure: Figure, row: int) -> Markup:
    """The bar of one row, as long as its share of the longest; parts stand end to end."""
    parts, start = [], 0.0
    for number, series in enumerate(figure.series):
        width = 100 * (series.values[row].number or 0) / figure.largest if figure.largest else 0
        if width:
            parts.append(f'<rect x="{start:.2f}%" y="0" width="{width:.2f}%" height="100%" class="app-chart__{number}"/>')
        start += width
    return _svg("app-chart__bar", "".join(parts))


def columns(figure: Figure) -> Markup:
    """One column a row, parts on top of one another."""
    wide = 100 / max(1, len(figure.rows))
    parts = []
    for row in range(len(figure.rows)):
        foot = 100.0
        for number, series in enumerate(figure.series):
            tall = 100 * (series.values[row].number or 0) / figure.largest if figure.largest else 0
            if tall:
                foot -= tall
                parts.append(
                    f'<rect x="{row * wide + wide * 0.1:.3f}%" y="{foot:.2f}%" width="{wide * 0.8:.3f}%" height="{tall:.2f}%" class="app-chart__{number}"/>'
                )
    return _svg("app-chart__columns", "".join(parts))


def key(number: int) -> Markup:
    """The sample of a series beside its name."""
    return _svg("app-chart__key", f'<rect width="100%" height="100%" class="app-chart__{number}"/>')


def _svg(name: str, inside: str) -> Markup:
    return Markup(f'<svg class="{name}" aria-hidden="true" focusable="false">{inside}</svg>')  # nosec B704 - numbers and our own names only
