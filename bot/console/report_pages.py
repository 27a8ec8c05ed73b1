"""Pages of reports: figures of a span, each as CSV, and a month to be printed."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from urllib.parse import urlencode

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from bot.channels.problems import Problem
from bot.console import charts
from bot.console.access import may_see_area
from bot.console.frame import Frame, Get, Post
from bot.console.reports import Reports, Span
from bot.store.tables import StaffSession

NO_FIGURE = Problem(404, "no_figure", "There is no such figure.")
MONTHS_BACK = 12


class ReportPages:
    """Pages under /console/reports."""

    def __init__(self, frame: Frame) -> None:
        self._frame, signpost = frame, frame.signpost
        self._reports = Reports(signpost.database, signpost.clock, signpost.answers, signpost.areas)

    def pages(self) -> list[Get | Post]:
        """Every page."""
        return [
            Get("/console/reports", "read", self.report),
            Get("/console/reports/month", "read", self.month),
            Get("/console/reports/{figure}.csv", "read", self.download),
        ]

    def _span(self, request: Request, session: StaffSession) -> Span:
        return Span.read(request.query_params, self._frame.signpost.clock.today(), self._areas(session))

    def _areas(self, session: StaffSession) -> list[str]:
        return [id for id in self._frame.signpost.areas if may_see_area(session.staff, id)]

    async def report(self, request: Request, session: StaffSession) -> Response:
        """Every figure of a span, with presets and a choice of days."""
        return await self._shown("console/reports.html", self._span(request, session), session)

    async def month(self, request: Request, session: StaffSession) -> Response:
        """A month on pages for print, with every table open."""
        today = self._frame.signpost.clock.today()
        asked = {"month": f"{today.replace(day=1) - timedelta(days=1):%Y-%m}", **request.query_params}
        return await self._shown("console/month.html", Span.read(asked, today, self._areas(session)), session)

    async def _shown(self, template: str, span: Span, session: StaffSession) -> Response:
        figures = await to_thread.run_sync(self._reports.figures, session.staff, span)
        today = self._frame.signpost.clock.today()
        areas = self._areas(session)
        return self._frame.page(
            template,
            session,
            figures=figures,
            span=span,
            areas=areas,
            charts=charts,
            asked=urlencode({"first": span.first.isoformat(), "last": span.last.isoformat(), "area": span.area}),
            presets=_presets(today),
            months=_months(today),
        )

    async def download(self, request: Request, session: StaffSession) -> Response:
        """One figure's table as CSV."""
        span = self._span(request, session)
        figure = await to_thread.run_sync(self._reports.figure, session.staff, span, request.path_params["figure"])
        if figure is None:
            raise NO_FIGURE
        await self._frame.record(request, session, "report_downloaded", figure.id)
        name = f"signpost-{figure.id}-{span.first}-{span.last}.csv"
        return csv_response(name, [figure.headings, *figure.table])


def csv_response(name: str, rows: list[list[str]]) -> Response:
    """Rows as a CSV file. A cell that a spreadsheet would take for a formula is made plain text."""
    written = io.StringIO()
    csv.writer(written).writerows([[f"'{cell}" if cell[:1] in "=+-@\t\r" and cell else cell for cell in row] for row in rows])
    return Response("\ufeff" + written.getvalue(), media_type="text/csv; charset=utf-8", headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _presets(today) -> list[tuple[str, str]]:
    monday = today - timedelta(days=today.weekday())
    spans = (
        ("This week", monday, today),
        ("Last week", monday - timedelta(days=7), monday - timedelta(days=1)),
        ("Last 4 weeks", today - timedelta(days=27), today),
        ("Last 12 weeks", today - timedelta(days=83), today),
    )
    return [(words, urlencode({"first": first.isoformat(), "last": last.isoformat()})) for words, first, last in spans]


def _months(today) -> list[tuple[str, str]]:
    made, begin = [], today.replace(day=1)
    for _ in range(MONTHS_BACK):
        made.append((f"{begin:%Y-%m}", f"{begin:%B %Y}"))
        begin = (begin - timedelta(days=1)).replace(day=1)
    return made
