"""Pages from `bot/templates/` in the NHS look. Everything is escaped unless a template marks it as HTML."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import ChainableUndefined, ChoiceLoader, Environment, FileSystemLoader, PackageLoader
from starlette.responses import HTMLResponse

from bot.clock import LONDON
from bot.pages.prose import blocks, phones

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Our templates and the NHS components they use (whose macros need undefined values to chain)."""
    made = Environment(
        loader=ChoiceLoader([FileSystemLoader(TEMPLATES), PackageLoader("nhsuk_frontend_jinja")]),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(blocks=blocks, phones=phones, moment=moment, short_moment=short_moment, day=day, short_day=short_day, words=words)
    return made


def render(template: str, **values: Any) -> str:
    """A template filled in."""
    return environment().get_template(template).render(**values)


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page as a response."""
    return HTMLResponse(render(template, **values), status)


def moment(value: datetime | str) -> str:
    """A moment, from itself or from ISO text, as England's clocks show it: `Saturday 21 November 2026, 7:43pm`."""
    local = (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(LONDON)
    return f"{local:%A %-d %B %Y, %-I:%M}{'am' if local.hour < 12 else 'pm'}"


def short_moment(value: datetime) -> str:
    """`Sat 21 Nov 2026, 7:43pm`, for tables."""
    local = value.astimezone(LONDON)
    return f"{local:%a %-d %b %Y, %-I:%M}{'am' if local.hour < 12 else 'pm'}"


def day(value: date | str) -> str:
    """`Saturday 21 November 2026`."""
    return f"{date.fromisoformat(value) if isinstance(value, str) else value:%A %-d %B %Y}"


def short_day(value: date) -> str:
    """`Sat 21 Nov 2026`, for tables."""
    return f"{value:%a %-d %b %Y}"


def words(identifier: str) -> str:
    """An identifier as words: `in_progress` is `in progress`."""
    return identifier.replace("_", " ")
