"""Administration: staff, cover and leave, teams, schools, promises, retention, the audit log, health."""

from __future__ import annotations

from typing import Any, Callable

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.casework.supervision import Refused
from bot.channels.problems import Problem
from bot.console.access import ROLES
from bot.console.audit import PAGE, AuditFilter
from bot.console.directory import Directory, Entry, leave_days
from bot.console.frame import Form, Frame, Get, Post, number
from bot.console.health import look
from bot.console.report_pages import csv_response
from bot.console.schools import Schools
from bot.console.sign_in import StaffProblem, new_password
from bot.pages.rendering import words
from bot.store.tables import Staff, StaffSession

NO_MEMBER = Problem(404, "no_member", "There is no such member of staff.")
KINDS = {"ordinary": "An ordinary question", "priority": "A priority question", "urgent": "An urgent question"}


class AdminPages:
    """Pages under /console/admin."""

    def __init__(self, frame: Frame) -> None:
        self._frame, self._signpost = frame, frame.signpost
        self._directory = Directory(self._signpost.database, self._signpost.clock, self._signpost.areas, self._signpost.answers)
        self._schools = Schools(self._signpost.database)
        self._supervision, self._sign_in = self._signpost.office.supervision, self._signpost.sign_in

    def pages(self) -> list[Get | Post]:
        """Every page and form."""
        staff = "/console/admin/staff/{id}"
        return [
            Get("/console/admin", "health", self.index),
            Get("/console/admin/staff", "admin", self.staff),
            Get("/console/admin/staff/new", "admin", self.new),
            Post("/console/admin/staff", "admin", self.add),
            Get(staff, "admin", self.member),
            Post(staff, "admin", self.change),
            Post(f"{staff}/disable", "admin", self.disable, "Disable this account? They are signed out, and their open queries go to their deputies."),
            Post(f"{staff}/enable", "admin", self.enable),
            Post(f"{staff}/password", "admin", self.reset_password, "Set a new password for this person? The old one stops working, and they are signed out."),
            Post(f"{staff}/second-step", "admin", self.reset_second_step, "Take the second step of this person away? Make sure that it is them who asks."),
            Post(f"{staff}/leave", "admin", self.add_leave),
            Post(f"{staff}/leave/{{leave}}/remove", "admin", self.remove_leave, "Take this leave away? Queries that were handed on already stay where they are."),
            Get("/console/admin/teams", "admin", self.teams),
            Get("/console/admin/schools", "admin", self.schools),
            Post("/console/admin/schools", "admin", self.add_schools),
            Post("/console/admin/schools/{id}/remove", "admin", self.remove_school, "Take this school off the list? Queries that name it keep the name."),
            Get("/console/admin/promises", "admin", self.promises),
            Post("/console/admin/promises/{area}", "admin", self.set_promise),
            Get("/console/admin/retention", "admin", self.retention),
            Get("/console/admin/health", "health", self.health),
            Get("/console/admin/audit", "audit", self.audit),
            Get("/console/admin/audit.csv", "audit", self.audit_csv),
        ]

    async def index(self, request: Request, session: StaffSession) -> Response:
        """What there is to administer."""
        return self._frame.page("console/admin.html", session)

    # staff

    async def staff(self, request: Request, session: StaffSession) -> Response:
        """Everybody, who is on call, who is away and who stands in."""
        entries = await to_thread.run_sync(self._directory.entries)
        return self._frame.page("console/staff.html", session, entries=entries, team_name=self._team_name, done=request.query_params.get("done", ""))

    def _team_name(self, member: Staff) -> str:
        """The name of somebody's team as a file of their areas has it; its identifier in words if none does."""
        areas = self._signpost.areas
        teams = (team for id in member.areas or areas for team in (areas[id].teams if id in areas else ()))
        return next((team["name"] for team in teams if team["id"] == member.team), words(member.team).capitalize())

    async def new(self, request: Request, session: StaffSession) -> Response:
        """The form for somebody new."""
        return await self._member_page(session, None, {"role": "lead"})

    async def _member_page(self, session: StaffSession, entry: Entry | None, form: dict[str, Any], status: int = 200, **shown: Any) -> Response:
        entries = await to_thread.run_sync(self._directory.entries)
        areas = self._signpost.areas
        return self._frame.page(
            "console/member.html",
            session,
            status,
            entry=entry,
            form=form,
            roles=ROLES,
            areas=areas,
            teams=self._teams(),
            deputies=[(e.member.id, e.member.name) for e in entries if e.member.active and e.member.role != "auditor" and (entry is None or e.member.id != entry.member.id)],
            **{"problem": "", "done": "", "password": "", **shown},
        )

    def _teams(self) -> list[tuple[str, str]]:
        """Every team to choose from, once: areas may give the same one different names."""
        names: dict[str, list[str]] = {}
        for area in self._signpost.areas.values():
            for team in area.teams:
                names.setdefault(team["id"], []).append(f"{team['name']} ({area.name})")
        return [(id, "; ".join(known)) for id, known in names.items()]

    async def add(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Add somebody. Their first password is shown once."""
        password = new_password()
        try:
            fields = await to_thread.run_sync(self._directory.fields, form)
            deputy = fields.pop("deputy_id")
            added = await to_thread.run_sync(lambda: self._sign_in.add_staff(email=form.get("email", ""), password=password, **fields))
            await to_thread.run_sync(self._supervision.update_staff, added.id, {"deputy_id": deputy})
        except (Refused, StaffProblem) as refused:
            return await self._member_page(session, None, dict(form), 422, problem=str(refused))
        await self._frame.record(request, session, "staff_added", added.email)
        entry = await self._entry(added.id)
        return await self._member_page(session, entry, self._as_form(entry), password=password)

    async def _entry(self, id: str) -> Entry:
        entry = await to_thread.run_sync(self._directory.entry, id)
        if entry is None:
            raise NO_MEMBER
        return entry

    def _as_form(self, entry: Entry) -> dict[str, Any]:
        member = entry.member
        title = self._frame.topic_title
        return {
            **{name: getattr(member, name) for name in ("email", "name", "title", "role", "team")},
            **{f"area-{id}": "on" for id in member.areas},
            "topics": "\n".join(title(topic) for topic in member.topics),
            **{name: "\n".join(getattr(member, name)) for name in ("therapies", "languages", "schools")},
            "on_call": "on" if member.on_call else "",
            "duty": "on" if member.duty else "",
            "deputy": member.deputy_id or "",
        }

    async def member(self, request: Request, session: StaffSession) -> Response:
        """One account."""
        entry = await self._entry(request.path_params["id"])
        return await self._member_page(session, entry, self._as_form(entry), done=request.query_params.get("done", ""))

    async def _done(
        self, request: Request, session: StaffSession, act: str, work: Callable[[], Any], done: str, form: Form | None = None, typed: Form | None = None
    ) -> Response:
        """Do something about an account, or tell on its page why not: with the account's form as it was sent, or with what was typed beside it."""
        entry = await self._entry(request.path_params["id"])
        try:
            await to_thread.run_sync(work)
        except (Refused, StaffProblem) as refused:
            return await self._member_page(session, entry, form or {**self._as_form(entry), **(typed or {})}, 422, problem=str(refused))
        await self._frame.record(request, session, act, entry.member.email)
        return RedirectResponse(f"/console/admin/staff/{entry.member.id}?done={done}", 303)

    async def change(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Change what somebody is kept for."""
        id = request.path_params["id"]

        def work() -> None:
            fields = self._directory.fields(form, id)
            if id == session.staff_id and fields["role"] != session.staff.role:
                raise Refused("Somebody else changes your role, so that you cannot shut yourself out.")
            self._supervision.update_staff(id, fields)

        return await self._done(request, session, "staff_changed", work, "changed", dict(form))

    async def disable(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Nobody signs in with it any more, and it owns nothing."""

        def work() -> None:
            if request.path_params["id"] == session.staff_id:
                raise Refused("Somebody else disables your account, so that you cannot shut yourself out.")
            self._supervision.set_active(request.path_params["id"], False, session.staff.name)

        return await self._done(request, session, "staff_disabled", work, "disabled")

    async def enable(self, request: Request, session: StaffSession, form: Form) -> Response:
        """The account works again."""
        return await self._done(request, session, "staff_enabled", lambda: self._supervision.set_active(request.path_params["id"], True, session.staff.name), "enabled")

    async def reset_password(self, request: Request, session: StaffSession, form: Form) -> Response:
        """A new password, shown once."""
        entry = await self._entry(request.path_params["id"])
        password = await to_thread.run_sync(self._sign_in.reset, entry.member.id)
        await self._frame.record(request, session, "password_reset", entry.member.email)
        return await self._member_page(session, entry, self._as_form(entry), password=password)

    async def reset_second_step(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Somebody lost their phone."""
        return await self._done(request, session, "second_step_reset", lambda: self._sign_in.second_steps.take_away(request.path_params["id"]), "second-step")

    async def add_leave(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Somebody is away; their open queries go to their deputies on the first day."""
        work = lambda: self._supervision.add_leave(request.path_params["id"], *leave_days(form), session.staff.name)  # noqa: E731
        return await self._done(request, session, "leave_added", work, "leave", typed=form)

    async def remove_leave(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Leave that is not taken."""
        work = lambda: self._supervision.end_leave(request.path_params["leave"], request.path_params["id"])  # noqa: E731
        return await self._done(request, session, "leave_removed", work, "leave-removed")

    async def teams(self, request: Request, session: StaffSession) -> Response:
        """The teams of the areas' files, with who is in them."""
        entries = await to_thread.run_sync(self._directory.entries)
        return self._frame.page("console/teams.html", session, areas=self._signpost.areas, entries=[e for e in entries if e.member.active], known={team["id"] for area in self._signpost.areas.values() for team in area.teams})

    # lists and rules

    async def schools(self, request: Request, session: StaffSession) -> Response:
        """The schools of each area."""
        return await self._schools_page(session, done=request.query_params.get("done", ""))

    async def _schools_page(self, session: StaffSession, status: int = 200, **shown: Any) -> Response:
        schools = await to_thread.run_sync(self._schools.all)
        return self._frame.page("console/schools.html", session, status, schools=schools, areas=self._signpost.areas, **{"problem": "", "done": "", "form": {}, **shown})

    async def add_schools(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Add schools, one a line."""
        try:
            if form.get("area", "") not in self._signpost.areas:
                raise Refused("Choose the area.")
            added = await to_thread.run_sync(self._schools.add, form["area"], form.get("names", ""))
        except Refused as refused:
            return await self._schools_page(session, 422, problem=str(refused), form=form)
        await self._frame.record(request, session, "schools_added", form["area"], added=added)
        return RedirectResponse(f"/console/admin/schools?done={added}", 303)

    async def remove_school(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Take a school off the list."""
        await to_thread.run_sync(self._schools.remove, request.path_params["id"])
        await self._frame.record(request, session, "school_removed", request.path_params["id"])
        return RedirectResponse("/console/admin/schools?done=removed", 303)

    async def promises(self, request: Request, session: StaffSession) -> Response:
        """How soon families are promised an answer, by area."""
        return self._promises_page(session, done=request.query_params.get("done", ""))

    def _promises_page(self, session: StaffSession, status: int = 200, **shown: Any) -> Response:
        rules = self._signpost.promise_rules
        filed = {id: rules.filed(id) for id in self._signpost.areas}
        return self._frame.page("console/promises.html", session, status, areas=self._signpost.areas, filed=filed, kinds=KINDS, **{"problem": "", "done": "", "about": "", "form": {}, **shown})

    async def set_promise(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Set the working days of an area's promises from now on."""
        area = request.path_params["area"]
        days = {kind: number(form.get(kind)) for kind in KINDS}
        try:
            await to_thread.run_sync(self._signpost.promise_rules.set, area, days, session.staff)
        except Refused as refused:
            return self._promises_page(session, 422, problem=str(refused), about=area, form=form)
        await self._frame.record(request, session, "promises_set", area, **days)
        return RedirectResponse("/console/admin/promises?done=set", 303)

    async def retention(self, request: Request, session: StaffSession) -> Response:
        """How long conversations are kept, as the areas' files say."""
        return self._frame.page("console/retention.html", session, areas=self._signpost.areas)

    async def health(self, request: Request, session: StaffSession) -> Response:
        """Workers, engine, what waits, the ledger."""
        health = await to_thread.run_sync(look, self._signpost.database, self._signpost.clock)
        return self._frame.page("console/health.html", session, health=health, engine=await self._signpost.engine.is_ready())

    # the audit log

    async def audit(self, request: Request, session: StaffSession) -> Response:
        """Who did and read what, newest first."""
        chosen, page = AuditFilter.read(request.query_params), max(1, number(request.query_params.get("page"), 1))
        entries, total = await to_thread.run_sync(self._frame.audit.page, chosen, page)
        people = await to_thread.run_sync(self._directory.entries)
        acts = await to_thread.run_sync(self._frame.audit.acts)
        return self._frame.page("console/audit.html", session, entries=entries, total=total, page=page, last=max(1, -(-total // PAGE)), chosen=chosen, people=people, acts=acts)

    async def audit_csv(self, request: Request, session: StaffSession) -> Response:
        """The entries that fit, as CSV."""
        chosen = AuditFilter.read(request.query_params)
        entries = await to_thread.run_sync(lambda: list(self._frame.audit.export(chosen)))
        await self._frame.record(request, session, "audit_exported", "", entries=len(entries))
        rows = [["at", "who", "did", "about", "detail", "address"]]
        rows += [[e.at.isoformat(), e.actor, e.act, e.about, "; ".join(f"{k}={v}" for k, v in e.detail.items()), e.address] for e in entries]
        return csv_response(f"signpost-audit-{self._signpost.clock.today().isoformat()}.csv", rows)
