"""Administration in the console: staff, leave, schools, promises, the audit log, health; and that what is done for good is asked first."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest

from bot.parts import Signpost
from bot.store.console import AuditEntry, School
from bot.store.cycle import Leave
from bot.store.tables import Query, Staff
from tests.conftest import add_staff
from tests.test_console import PASSWORD, StaffBrowser, app, hidden, office, password_hash  # noqa: F401 - fixtures


@pytest.fixture
def manager(office):
    return office.desk_of("Mo Carter")


def post(browser, path, confirmed=True, **form):
    csrf = hidden(browser.get("/console/account"), "csrf")
    return browser.post(path, data={"csrf": csrf, **({"confirmed": "yes"} if confirmed else {}), **form})


def somebody(office, name="Wren Larkspur") -> Staff:
    return next(s for s in office.all(Staff) if s.name == name)


NEW = {"email": "new.person@example.org", "name": "New Person", "title": "Physiotherapist", "role": "lead", "area-somerset": "on"}


def test_somebody_who_is_added_can_sign_in_with_the_password_shown_once(office, manager):
    page = post(manager, "/console/admin/staff", **NEW, topics="Who pays for the service\nequipment", on_call="on", deputy=somebody(office).id)
    password = re.search(r'class="app-secret">([^<]+)</code>', page.text)[1]
    assert StaffBrowser(office.app).sign_in("new.person@example.org", password).headers["location"] == "/console"
    added = somebody(office, "New Person")
    assert (added.areas, added.topics, added.on_call, added.deputy_id) == (["somerset"], ["core_offer_funding", "equipment"], True, somebody(office).id)
    assert password not in manager.get(f"/console/admin/staff/{added.id}").text
    assert password not in str([e.detail for e in office.all(AuditEntry)])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": " "}, "name and the title"),
        ({"role": "king"}, "Choose a role"),
        ({"email": "nonsense"}, "not an email address"),
        ({"email": "wren.larkspur@example.org"}, "There is an account"),
        ({"topics": "no such thing"}, "There is no topic"),
        ({"deputy": "nobody"}, "Choose a deputy"),
    ],
)
def test_an_account_that_could_not_work_is_refused_and_the_form_is_kept(office, manager, wrong, told):
    before = len(office.all(Staff))
    page = post(manager, "/console/admin/staff", **{**NEW, **wrong})
    assert page.status_code == 422 and told in page.text and 'value="Physiotherapist"' in page.text
    assert len(office.all(Staff)) == before


def test_disabling_asks_first_and_hands_on_what_they_own(office, manager):
    add_staff(office.signpost.database, "Abe Second", areas=["somerset"])
    id, _ = office.ask()
    owner = next(s for s in office.all(Staff) if s.id == office.query(id).lead_id)
    path = f"/console/admin/staff/{owner.id}/disable"
    asked = post(manager, path, confirmed=False)
    assert asked.status_code == 200 and "Are you sure?" in asked.text and somebody(office, owner.name).active
    assert post(manager, path).status_code == 303
    assert not somebody(office, owner.name).active and office.query(id).lead_id != owner.id
    assert post(manager, f"/console/admin/staff/{owner.id}/enable").status_code == 303 and somebody(office, owner.name).active


def test_nobody_shuts_themselves_or_everybody_out(office, manager):
    own = somebody(office, "Mo Carter")
    assert "Somebody else disables" in post(manager, f"/console/admin/staff/{own.id}/disable").text
    form = {"name": own.name, "title": own.title, "role": "auditor"}
    assert "Somebody else changes your role" in post(manager, f"/console/admin/staff/{own.id}", **form).text
    other = add_staff(office.signpost.database, "Nia Manager", "manager")
    second = office.desk_of("Nia Manager")
    assert post(second, f"/console/admin/staff/{own.id}/disable").status_code == 303
    assert somebody(office, "Nia Manager").active and other.id != own.id


def test_an_owner_of_queries_does_not_become_an_auditor(office, manager):
    id, _ = office.ask()
    owner = next(s for s in office.all(Staff) if s.id == office.query(id).lead_id)
    refused = post(manager, f"/console/admin/staff/{owner.id}", name=owner.name, title=owner.title, role="auditor")
    assert refused.status_code == 422 and "Hand them over first" in refused.text
    assert somebody(office, owner.name).role == "lead"


def test_leave_from_today_hands_queries_on_at_once_and_can_be_taken_back(office, manager, time):
    add_staff(office.signpost.database, "Abe Second", areas=["somerset"])
    id, _ = office.ask()
    owner = next(s for s in office.all(Staff) if s.id == office.query(id).lead_id)
    path = f"/console/admin/staff/{owner.id}/leave"
    refused = post(manager, path, from_on="2026-12-21", to_on="later").text
    assert "first and the last day" in refused and 'value="2026-12-21"' in refused and 'value="later"' in refused
    today = office.signpost.clock.today()
    assert post(manager, path, from_on=today.isoformat(), to_on=(today + timedelta(days=5)).isoformat()).status_code == 303
    assert office.query(id).lead_id != owner.id
    [leave] = office.all(Leave)
    assert "Away" in manager.get("/console/admin/staff").text
    assert "Are you sure?" in post(manager, f"{path}/{leave.id}/remove", confirmed=False).text and office.all(Leave)
    assert post(manager, f"{path}/{leave.id}/remove").status_code == 303 and not office.all(Leave)


def test_a_new_password_ends_the_old_one_and_its_sessions(office, manager):
    theirs = office.desk_of("Wren Larkspur")
    member = somebody(office)
    assert "Are you sure?" in post(manager, f"/console/admin/staff/{member.id}/password", confirmed=False).text
    page = post(manager, f"/console/admin/staff/{member.id}/password")
    password = re.search(r'class="app-secret">([^<]+)</code>', page.text)[1]
    assert theirs.get("/console").status_code == 303
    assert StaffBrowser(office.app).sign_in(password=PASSWORD).status_code == 401
    assert StaffBrowser(office.app).sign_in(password=password).status_code == 303


def test_a_lost_second_step_is_taken_away_by_a_manager(office, manager):
    with office.signpost.database.write() as session:
        session.get_one(Staff, somebody(office).id).totp_secret = "JBSWY3DPEHPK3PXP"
    assert post(manager, f"/console/admin/staff/{somebody(office).id}/second-step").status_code == 303
    assert somebody(office).totp_secret is None


def test_schools_are_pasted_given_to_a_query_and_searched(office, manager):
    added = post(manager, "/console/admin/schools", area="somerset", names="Brook Primary\n\n Hill  Academy \nBrook Primary\n")
    assert added.headers["location"].endswith("done=2")
    post(manager, "/console/admin/schools", area="somerset", names="brook primary\nVale School")
    assert [s.name for s in office.all(School)] and len(office.all(School)) == 3
    id, _ = office.ask()
    browser = office.desk_of()
    assert post(browser, f"/console/queries/{id}/school", school="hill academy").status_code == 303
    assert office.query(id).school == "Hill Academy"
    assert office.query(id).reference in browser.get("/console?search=hill").text
    refused = post(browser, f"/console/queries/{id}/school", school="Elsewhere")
    assert refused.status_code == 409 and "is not in the list" in refused.text
    school = next(s for s in office.all(School) if s.name == "Vale School")
    assert "Are you sure?" in post(manager, f"/console/admin/schools/{school.id}/remove", confirmed=False).text
    post(manager, f"/console/admin/schools/{school.id}/remove")
    assert len(office.all(School)) == 2


def test_a_promise_that_is_set_holds_for_new_queries_here_and_in_other_apps(office, manager, settings, time):
    other = Signpost.build(settings, time.clock())
    before = office.query(office.ask()[0]).due_on
    form = {"ordinary": "8", "priority": "3", "urgent": "0"}
    assert post(manager, "/console/admin/promises/somerset", **form).status_code == 303
    after = office.query(office.ask()[0]).due_on
    assert after > before
    other.refresh()
    assert other.areas["somerset"].promise.working_days == 8
    filed = office.signpost.promise_rules.filed("somerset")
    post(manager, "/console/admin/promises/somerset", ordinary=str(filed.working_days), priority=str(filed.priority_working_days), urgent=str(filed.urgent_working_days))
    assert office.query(office.ask()[0]).due_on == before
    other.refresh()
    assert other.areas["somerset"].promise == filed


@pytest.mark.parametrize("wrong", [{"ordinary": "x"}, {"ordinary": "31"}, {"ordinary": "-1"}, {"urgent": "4"}])
def test_promises_that_make_no_sense_are_refused_and_kept_on_the_page(office, manager, wrong):
    page = post(manager, "/console/admin/promises/somerset", **{"ordinary": "5", "priority": "2", "urgent": "0", **wrong})
    assert page.status_code == 422 and f'value="{next(iter(wrong.values()))}"' in page.text
    assert post(manager, "/console/admin/promises/nowhere", ordinary="5", priority="2", urgent="0").status_code == 422


def test_closing_asks_first_and_keeps_the_reason(office, manager):
    id, _ = office.ask()
    asked = post(manager, f"/console/queries/{id}/close", confirmed=False, reason="It was answered by phone")
    assert asked.status_code == 200 and "Are you sure?" in asked.text and 'value="It was answered by phone"' in asked.text
    refused = post(manager, f"/console/queries/{id}/close", reason="It was answered by phone")
    assert refused.status_code == 409 and "has not had a reply" in refused.text and 'value="It was answered by phone"' in refused.text
    assert "This cannot be closed yet" in manager.read(id).text
    assert office.query(id).ended_at is None


def test_the_audit_log_is_filtered_and_exported(office, manager):
    id, _ = office.ask()
    reference = office.query(id).reference
    office.desk_of("Wren Larkspur").read(id)
    post(office.desk_of("Wren Larkspur"), f"/console/queries/{id}/note", note="not in the log: zebra")
    auditor = office.desk_of("Ivy Kestrel")
    page = auditor.get(f"/console/admin/audit?about={reference}").text
    assert page.count("Wren Larkspur</span></td>") == 2 and "zebra" not in page
    rows = list(csv.reader(io.StringIO(auditor.get(f"/console/admin/audit.csv?about={reference}&act=note").text.removeprefix("\ufeff"))))
    assert [row[1:4] for row in rows[1:]] == [["Wren Larkspur", "note", reference]]
    assert "No entry fits" in auditor.get("/console/admin/audit?first=2030-01-01").text
    assert auditor.get("/console/admin/audit?first=nonsense&page=x").status_code == 200


def test_long_audit_logs_are_paged(office):
    from bot.console.audit import AuditLog

    log = AuditLog(office.signpost.database, office.signpost.clock)
    for number in range(205):
        log.record(None, "counted", str(number))
    browser = office.desk_of("Ivy Kestrel")
    first, third = browser.get("/console/admin/audit?act=counted").text, browser.get("/console/admin/audit?act=counted&page=3").text
    assert "Page 1 of 3" in first and ">204<" in first and ">0<" in third
    assert len(browser.get("/console/admin/audit.csv?act=counted").text.splitlines()) == 206


def test_health_tells_of_a_dead_worker_and_engine_and_of_the_ledger(office, engine_double):
    office.ask()
    page = office.desk_of("Mo Carter").get("/console/admin/health").text
    assert "None alive" in page and "Balances" in page and "1 logged: 1 open" in page


@pytest.mark.parametrize("path", ["", "/staff", "/staff/new", "/teams", "/schools", "/promises", "/retention", "/health", "/audit"])
def test_every_page_of_administration_opens(manager, path):
    assert manager.get(f"/console/admin{path}").status_code == 200


def test_the_queries_of_somebody_away_are_not_lost_by_editing(office, manager):
    id, _ = office.ask()
    member = somebody(office)
    form = {"name": "Wren Larkspur-Jones", "title": "Senior therapist", "role": "lead", "area-somerset": "on", "languages": "pl\nar"}
    assert post(manager, f"/console/admin/staff/{member.id}", **form).status_code == 303
    changed = somebody(office, "Wren Larkspur-Jones")
    assert (changed.title, changed.languages, changed.areas) == ("Senior therapist", ["pl", "ar"], ["somerset"])
    with office.signpost.database.read() as session:
        assert session.get_one(Query, id).lead_id == changed.id


def test_a_team_has_the_name_that_the_persons_own_area_gives_it(office, manager):
    for name, area in (("Abe Second", "somerset"), ("Cy Third", "hampshire")):
        add_staff(office.signpost.database, name, areas=[area], team="council_send")
    page = manager.get("/console/admin/staff").text
    assert "Statutory SEND Team, Somerset Council" in page and "SEN team, Hampshire County Council" in page


def test_a_team_of_two_areas_is_offered_once_with_both_names(office, manager):
    offered = re.findall(r'<option value="(\w+)"[^>]*>([^<]*)</option>', re.search(r'<select[^>]* name="team".*?</select>', manager.get("/console/admin/staff/new").text, re.S)[0])
    ids = [id for id, _ in offered]
    assert len(ids) == len(set(ids)) > 3
    assert "Statutory SEND Team, Somerset Council (Somerset)" in dict(offered)["council_send"] and "SEN team, Hampshire County Council (Hampshire)" in dict(offered)["council_send"]


def test_everybody_is_on_the_page_of_teams_and_teams_have_their_whole_names(office, manager):
    page = manager.get("/console/admin/teams").text
    assert all(member.name in page for member in office.all(Staff))
    names = [team["name"] for area in office.signpost.areas.values() for team in area.teams]
    assert all(team.keys() <= {"id", "name", "topics", "therapies", "schools"} for area in office.signpost.areas.values() for team in area.teams)
    assert "Therapy service lead, east Somerset" in names and all(name.replace("'", "&#39;") in page for name in names)
