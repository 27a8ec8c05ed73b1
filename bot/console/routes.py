"""The staff console put together: every page under /console with the permission that it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from bot.channels.limits import RateLimits
from bot.console.account_pages import AccountPages
from bot.console.admin_pages import AdminPages
from bot.console.answer_pages import AnswerPages
from bot.console.frame import Frame, Get, Post
from bot.console.inbox_pages import InboxPages
from bot.console.query_pages import QueryPages
from bot.console.report_pages import ReportPages
from bot.console.review_pages import ReviewPages
from bot.console.sign_in_pages import SignInPages

if TYPE_CHECKING:
    from bot.parts import Signpost

GROUPS = (InboxPages, QueryPages, ReviewPages, AnswerPages, ReportPages, AdminPages, AccountPages)


def console_pages(frame: Frame) -> list[Get | Post]:
    """Every page and form for those who are signed in."""
    return [page for group in GROUPS for page in group(frame).pages()]


def console_routes(signpost: "Signpost", limits: RateLimits) -> list[Route]:
    """Routes under /console."""
    frame = Frame(signpost)
    return [*SignInPages(frame, limits).routes(), *(frame.route(page) for page in console_pages(frame))]
