"""Working in the console: views, filters and search; notes, summary, preview, answers at hand; presence; news of an open query."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from bot.casework.references import new_return_code
from bot.clock import new_id
from bot.console.inbox import VIEWS, Inbox, InboxChoice
from bot.console.presence import Presences
from bot.console.query_page import QueryReader
from bot.console.query_pages import _Told
from bot.store.console import Note, SavedView, Summary, Tag
from bot.store.cycle import Alert, Delivery
from bot.store.tables import Conversation, Message, Query, Reply, Staff
from tests.conftest import add_staff
from tests.test_console import app, hidden, office, password_hash, references  # noqa: F401 - fixtures


def post(browser, path, **form):
    csrf = hidden(browser.get("/console/account"), "csrf")
    return browser.post(path, data={"csrf": csrf, **form})


def reference(office, id):
    return office.query(id).reference


def listed(browser, **asked):
    page = browser.get("/console", params=asked)
    return set(references(page)) if "<tbody" in page.text else set()


def reply_form(page, **more):
    return {**{name: hidden(page, name) for name in ("csrf", "version", "read_to", "idempotency_key")}, **more}


# Views, filters, search


def test_each_view_holds_what_it_says(office, time):
    mine, _ = office.ask("mine")
    late, _ = office.ask("late")
    time.now += timedelta(days=9)
    today, _ = office.ask("due today", kind="urgent")
    answered, conversation = office.ask("answered")
    browser = office.desk_of("Wren Larkspur")
    page = browser.read(answered)
    browser.post(f"/console/queries/{answered}/reply", data=reply_form(page, text="Here", do="send"))
    office.signpost.log.after(conversation, 0)
    ended, its_chat = office.ask("taken back")
    office.signpost.desk.withdraw(its_chat, 1)
    broken, _ = office.ask("broken delivery")
    with office.signpost.database.write() as session:
        query = session.get_one(Query, broken)
        message = session.scalar(select(Message).where(Message.conversation_id == query.conversation_id).limit(1))
        session.add(
            Delivery(
                id=new_id(), idempotency_key=new_id(), conversation_id=query.conversation_id, message_id=message.id, query_id=broken, channel="telegram",
                seq=1, part=0, parts=1, body="x", state="refused", attempts=1, created_at=time.now,
            )  # fmt: skip
        )
    manager = office.desk_of("Mo Carter")
    name = {reference(office, id): id for id in (mine, late, today, answered, ended, broken)}
    found = {view: {name[r] for r in listed(manager, view=view)} for view in VIEWS}
    assert found["all"] == {mine, late, today, broken} and found["closed"] == {ended} and found["waiting"] == {answered}
    assert found["overdue"] == {mine, late} and found["today"] == {today} and found["urgent"] == {today} and found["undelivered"] == {broken}
    assert found["unassigned"] == {mine, late, today, broken}
    counts = re.findall(r'view=(\w+)"[^>]*>[^<]*<strong class="app-count[^"]*">(\d+)', manager.get("/console").text)
    assert {view: int(count) for view, count in counts} == {view: len(ids) for view, ids in found.items() if view not in ("closed", "team")}


def test_a_query_is_picked_up_once_somebody_has_begun(office):
    id, _ = office.ask()
    browser = office.desk_of()
    page = browser.read(id)
    browser.post(f"/console/queries/{id}/start", data={"csrf": hidden(page, "csrf"), "version": hidden(page, "version")})
    assert listed(office.desk_of("Mo Carter"), view="unassigned") == set()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"topic": "waiting_time"}, {"a"}),
        ({"area": "hampshire"}, {"b"}),
        ({"language": "pl"}, {"b"}),
        ({"kind": "priority"}, {"a"}),
        ({"state": "routed"}, {"a", "b"}),
        ({"channel": "telegram"}, set()),
        ({"tag": "hydrotherapy"}, {"a"}),
        ({"topic": "waiting_time", "area": "hampshire"}, set()),
        ({"topic": "' OR 1=1 --"}, set()),
        ({"search": "how long is the wait"}, {"a"}),
        ({"search": "HYDRO"}, {"a"}),
        ({"search": "annual summary"}, {"b"}),
        ({"search": "%"}, set()),
        ({"search": "zebra"}, set()),
    ],
)
def test_lists_are_filtered_and_searched_but_never_by_what_families_wrote(office, asked, found):
    a, chat = office.ask("zebra zebra", topic="waiting_time", kind="priority")
    b, _ = office.ask("zebra", area="hampshire", language="pl")
    manager = office.desk_of("Mo Carter")
    post(manager, f"/console/queries/{a}/tag", tags="hydrotherapy")
    post(manager, f"/console/queries/{b}/summary", summary="Waits for the annual review; summary of it")
    ids = {"a": reference(office, a), "b": reference(office, b)}
    assert listed(manager, view="all", **asked) == {ids[name] for name in found}
    assert office.all(Tag)[0].conversation_id == chat


def test_a_search_looks_in_every_view_and_only_in_ones_own_scope(office):
    id, chat = office.ask(topic="feeding")
    office.signpost.desk.withdraw(chat, 1)
    assert listed(office.desk_of("Mo Carter"), view="overdue", search="feeding") | listed(office.desk_of("Mo Carter"), view="overdue", search="eating") == {reference(office, id)}
    assert listed(office.desk_of("Jay Goldfinch"), search="feeding") == set()


def test_a_view_is_saved_replaced_and_ones_own(office):
    manager = office.desk_of("Mo Carter")
    for area in ("somerset", "hampshire"):
        saved = post(manager, "/console/views", name="My  area", shown=f"/console?view=overdue&area={area}&page=3")
        assert saved.status_code == 303
    [kept] = office.all(SavedView)
    assert (kept.name, kept.address) == ("My area", "/console?view=overdue&area=hampshire")
    assert "My area" not in office.desk_of("Wren Larkspur").get("/console").text
    refused = post(manager, "/console/views", name=" ", shown="/console?view=today&kind=urgent")
    assert refused.status_code == 422 and "Give the view a name" in refused.text and "Due today" in refused.text
    post(office.desk_of("Wren Larkspur"), f"/console/views/{kept.id}/remove", confirmed="yes")
    assert office.all(SavedView), "another's view stays"
    assert "Are you sure?" in post(manager, f"/console/views/{kept.id}/remove").text and office.all(SavedView)
    post(manager, f"/console/views/{kept.id}/remove", confirmed="yes")
    assert not office.all(SavedView)


def test_a_saved_view_never_leads_elsewhere(office):
    post(office.desk_of(), "/console/views", name="x", shown="https://elsewhere.example/?view=today")
    assert [v.address for v in office.all(SavedView)] == ["/console?view=today"]


def test_the_way_back_from_a_query_leads_to_the_list_it_was_opened_from(office):
    id, _ = office.ask()
    manager = office.desk_of("Mo Carter")

    def back() -> str:
        return html.unescape(re.search(r'href="([^"]*)">Back to queries', manager.get(f"/console/queries/{id}").text)[1])

    assert back() == "/console?view=all"
    manager.get("/console?view=overdue&area=somerset&search=caf\u00e9+%22x%22%3B&page=2")
    assert back() == "/console?view=overdue&area=somerset&search=caf%C3%A9+%22x%22%3B&page=2"
    post(manager, f"/console/queries/{id}/note", note="Rang the school")
    assert back().startswith("/console?view=overdue&area=somerset"), "what is done on the page does not lose it"
    manager.get("/console", params={"view": "today", **{name: "\u00e9" * 120 for name in ("topic", "school", "tag", "lead")}})
    assert back() == "/console?view=all", "an address that is too long for a cookie is not kept"
    manager.cookies.delete("signpost_list")
    manager.cookies.set("signpost_list", "https://elsewhere.example/?view=today&next=//x", domain="testserver.local", path="/console")
    assert back() == "/console?view=today", "it is made anew from what a list can show"


def test_acknowledging_leads_back_to_the_list_that_was_shown(office):
    office.ask()
    browser = office.desk_of()
    for shown, to in (("/console?view=today&kind=urgent", "/console?view=today&kind=urgent"), ("alerts", "/console/alerts"), ("//elsewhere.example", "/console?view=mine")):
        id = new_id()
        with office.signpost.database.write() as session:
            member = session.scalars(select(Staff).where(Staff.name == "Wren Larkspur")).one()
            session.add(Alert(id=id, key=id, kind="urgent", step="lead", staff_id=member.id, at=office.signpost.clock.now()))
        answer = post(browser, f"/console/alerts/{id}/acknowledge", back=shown)
        location = answer.headers["location"]
        assert location == to + ("&" if "?" in to else "?") + "done=acknowledged"
        assert "You have acknowledged it." in browser.get(location).text


def test_a_part_of_a_page_is_told_that_its_reader_is_signed_out(office):
    id, _ = office.ask()
    browser = office.desk_of()
    browser.cookies.clear()
    answer = browser.get(f"/console/queries/{id}", headers={"hx-request": "true"})
    assert answer.status_code == 401 and "Your session has ended" in answer.text, "not the page to sign in, in the place of the part"
    assert browser.get(f"/console/queries/{id}").status_code == 303


def test_news_of_a_list_are_counted_since_it_was_shown(office, time):
    manager = office.desk_of("Mo Carter")
    office.ask()
    since = office.signpost.clock.now().isoformat()
    time.now += timedelta(minutes=1)
    office.ask()
    office.ask(area="hampshire")

    def told(**asked) -> str:
        answer = manager.get("/console/news", params={"view": "all", "since": since, **asked})
        return " ".join(re.sub("<[^>]+>", "", answer.text).split()) if answer.status_code == 200 else f"{answer.status_code} {answer.text}"

    assert told() == "2 new queries. Show them" and told(area="hampshire") == "1 new query. Show it"
    assert told(shown="1") == "2 new queries. Show them" and told(shown="2") == "204 ", "what is shown is not sent again"
    for wrong in ("", "yesterday", "2026-11-23T10:00:00"):
        assert manager.get("/console/news", params={"since": wrong}).status_code == 422


def test_twenty_thousand_queries_are_paged_counted_and_read_by_index(office):
    id, _ = office.ask("the first of many")
    with office.signpost.database.read() as session:
        one = {c.name: getattr(session.get_one(Query, id), c.name) for c in Query.__table__.columns}
        chat = {c.name: getattr(session.get_one(Conversation, one["conversation_id"]), c.name) for c in Conversation.__table__.columns}
    now, many = office.signpost.clock.now(), 20_000
    ids = [new_id() for _ in range(many)]
    with office.signpost.database.write() as session:
        session.execute(insert(Conversation), [{**chat, "id": i, "token_hash": None, "external_id": i} for i in ids])
        closed = {"state": "confirmed", "ended_at": now, "next_look_at": None}
        rows = [{**one, "id": i, "conversation_id": i, "reference": f"SP-{n:08d}", **(closed if n % 10 else {})} for n, i in enumerate(ids)]
        session.execute(insert(Query), rows)
    browser = office.desk_of("Mo Carter")
    first, last = browser.get("/console?view=all").text, browser.get("/console?view=all&page=41")
    assert "Showing 1 to 50 of 2,001" in first and "Page 1 of 41" in first and len(references(last)) == 1
    closed = browser.get("/console?view=closed&page=100").text
    assert "Showing 4,951 to 5,000 of 5,000 or more: filter or search" in closed, "what is closed is not counted to its end"
    inbox = Inbox(office.signpost.database, office.signpost.clock, office.signpost.answers)
    [manager] = [s for s in office.all(Staff) if s.name == "Mo Carter"]
    shown = inbox._listed(inbox._shown(manager, InboxChoice("all", {}, "", 1), office.signpost.clock.today()), "all").limit(50)
    with office.signpost.database.read() as session:
        sql = str(shown.compile(session.bind, compile_kwargs={"literal_binds": True}))
        plan = " ".join(row[3] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}"))
    assert "queries_open" in plan


# A query


def test_notes_are_for_staff_and_kept_when_they_are_refused(office):
    id, conversation = office.ask()
    browser = office.desk_of()
    assert post(browser, f"/console/queries/{id}/note", note="Rang <the> school").status_code == 303
    page = office.desk_of("Ivy Kestrel").read(id).text
    assert "Rang &lt;the&gt; school" in page and "Add the note" not in page
    assert not any("Rang" in m["text"] for m in office.signpost.log.after(conversation, 0))
    refused = post(browser, f"/console/queries/{id}/note", note="x" * 4001)
    assert refused.status_code == 409 and "x" * 4001 in refused.text and len(office.all(Note)) == 1
    with office.signpost.database.engine.connect() as raw:
        assert "school" not in str(raw.exec_driver_sql("SELECT text FROM notes").all()), "encrypted at rest"


def test_a_summary_that_says_who_somebody_is_is_refused(office):
    id, _ = office.ask()
    browser = office.desk_of()
    refused = post(browser, f"/console/queries/{id}/summary", summary="Mum is Daniela Frost, 07700 900123")
    assert refused.status_code == 409 and "nothing that says who somebody is" in refused.text and "Daniela Frost" in refused.text
    assert not office.all(Summary)
    post(browser, f"/console/queries/{id}/summary", summary="Asks for the report")
    post(browser, f"/console/queries/{id}/summary", summary="")
    assert not office.all(Summary)


def test_a_preview_sends_nothing_and_keeps_text_kind_and_guard(office):
    id, conversation = office.ask()
    browser = office.desk_of()
    page = browser.read(id)
    form = reply_form(page, text="First line\n\n- a point", do="preview", kind="update")
    preview = browser.post(f"/console/queries/{id}/reply", data=form)
    assert preview.status_code == 200 and "<li>a point</li>" in preview.text and "As the parent will see it" in preview.text
    assert not office.all(Reply) and re.search(r'value="update" checked', preview.text)
    assert hidden(preview, "idempotency_key") == form["idempotency_key"]
    office.writes_again(conversation, "One more thing")
    again = browser.post(f"/console/queries/{id}/reply", data={**form, "do": "preview"})
    assert hidden(again, "read_to") == form["read_to"], "a preview does not count as having read what came in"
    refused = browser.post(f"/console/queries/{id}/reply", data={**form, "do": "send"})
    assert refused.status_code == 409 and "parent has written since" in refused.text


def test_an_answer_is_inserted_as_this_family_would_be_told_it(office):
    id, _ = office.ask(topic="core_offer_funding")
    browser = office.desk_of()
    page = browser.read(id)
    assert "Reviewed answers at hand" in page.text and "NHS Somerset Integrated Care Board" in page.text
    form = reply_form(page, text="Hello there", insert="core_offer_funding")
    inserted = browser.post(f"/console/queries/{id}/reply", data=form).text
    box = re.search(r'name="text"[^>]*>\n(.*?)</textarea>', inserted, re.S)[1]
    assert box.startswith("Hello there\n\n") and "NHS Somerset Integrated Care Board" in box and "{" not in box
    assert not office.all(Reply)
    assert browser.post(f"/console/queries/{id}/reply", data={**form, "insert": "", "do": "insert", "topic": ""}).status_code == 422
    assert browser.post(f"/console/queries/{id}/reply", data={**form, "insert": "no_such"}).status_code == 422


def test_what_a_colleague_did_meanwhile_is_not_overwritten(office):
    id, _ = office.ask()
    first, second = office.desk_of("Wren Larkspur"), office.desk_of("Mo Carter")
    shown = {"first": first.read(id), "second": second.read(id)}
    forms = [
        ("summary", {"summary": "From the first"}, {"summary": "From the second"}, "to “From the first”"),
        ("promise", {"due_on": "2026-12-03", "reason": "One"}, {"due_on": "2026-12-04", "reason": "The second reason"}, "has promised Thursday 3 December 2026"),
        ("hand-over", {"to": _id_of(office, "Mo Carter"), "reason": "One"}, {"to": _id_of(office, "Wren Larkspur"), "reason": "The second reason"}, "went to Mo Carter"),
    ]
    for act, one, other, told in forms:
        address = f"/console/queries/{id}/{act}"
        assert first.post(address, data={**_fields(shown["first"], address), **one}).status_code == 303
        refused = second.post(address, data={**_fields(shown["second"], address), **other})
        assert refused.status_code == 409 and told in refused.text
        typed = next(value for name, value in other.items() if name in ("summary", "reason"))
        assert f'value="{typed}"' in refused.text, "what the second person typed is still there"
        if act != "hand-over":
            assert second.post(address, data={**_fields(refused, address), **other}).status_code == 303, "once they have read it"


def test_what_was_typed_into_a_form_that_is_gone_is_given_back(office):
    id, _ = office.ask()
    browser = office.desk_of("Mo Carter")
    address = f"/console/queries/{id}/promise"
    fields = _fields(browser.read(id), address)
    with office.signpost.database.write() as session:
        query = session.get_one(Query, id)
        office.signpost.office.cycle.move(session, query, "withdrawn", "parent")
    late = browser.post(address, data={**fields, "due_on": "2026-12-03", "reason": "The therapist is away"})
    assert late.status_code == 409 and "has ended" in late.text and "The therapist is away" in late.text


def test_staff_never_see_the_code_that_opens_the_familys_chat(office):
    id, conversation = office.ask()
    code = new_return_code()
    office.writes_again(conversation, f"is it {code} or {code.lower()}")
    browser = office.desk_of("Mo Carter")
    for path in (f"/console/queries/{id}", f"/console/review/{conversation}"):
        page = browser.get(path).text
        assert page.count("(code hidden)") == 2 and code not in page.upper()


def test_guesses_that_count_for_nothing_are_not_shown(office):
    id, conversation = office.ask()
    with office.signpost.database.write() as session:
        message = session.scalars(select(Message).where(Message.conversation_id == conversation, Message.author == "parent")).one()
        message.understanding = {"intent_ranking": [{"name": "complaint", "confidence": 0.998}, {"name": "consent", "confidence": 0.001}]}
    page = office.desk_of("Mo Carter").read(id).text
    assert "(100% sure)" in page and "(0% sure)" not in page


def test_a_reply_that_did_not_arrive_is_marked_in_the_list_and_on_its_page(office):
    id, conversation = office.ask()
    browser = office.desk_of("Mo Carter")
    browser.reply(browser.read(id), id, "Here is the answer.")
    assert "Not delivered" not in browser.get("/console?view=waiting").text
    with office.signpost.database.write() as session:
        sent = select(Delivery).join(Message, Message.id == Delivery.message_id).where(Message.conversation_id == conversation, Message.author == "staff")
        delivery = session.scalars(sent).one()
        delivery.state, delivery.problem = "refused", "the parent has blocked the bot"
    for path in ("/console?view=waiting", f"/console/queries/{id}"):
        assert ">Not delivered</strong>" in browser.get(path).text
    assert "The parent has blocked the bot." in browser.read(id).text


def test_a_reply_that_another_overtook_is_still_there_to_be_read(office):
    id, _ = office.ask()
    first, second = office.desk_of("Wren Larkspur"), office.desk_of("Mo Carter")
    shown = [reply_form(first.read(id), text="From the lead", do="send"), reply_form(second.read(id), text="From the manager", do="send")]
    office.signpost.replies._undo = timedelta(minutes=1)
    assert first.post(f"/console/queries/{id}/reply", data=shown[0]).status_code == 303
    refused = second.post(f"/console/queries/{id}/reply", data=shown[1])
    assert refused.status_code == 409 and "From the manager" in refused.text
    assert "From the manager" in second.read(id).text and "From the manager" not in first.read(id).text


def _id_of(office, name) -> str:
    return next(member.id for member in office.all(Staff) if member.name == name)


def _fields(page, address) -> dict[str, str]:
    """The hidden fields of a form."""
    form = re.search(rf'<form method="post" action="{address}".*?</form>', page.text, re.S)[0]
    return dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form))


def test_a_refused_act_keeps_what_was_typed(office):
    id, _ = office.ask()
    browser = office.desk_of()
    refused = post(browser, f"/console/queries/{id}/promise", due_on="2026-11-28", reason="The school is closed that week")
    assert refused.status_code == 409 and "not a working day" in refused.text
    assert 'value="The school is closed that week"' in refused.text and 'value="2026-11-28"' in refused.text
    refused = post(browser, f"/console/queries/{id}/explain", body="icb", text="", address="someone@example.org")
    assert refused.status_code == 409 and 'value="someone@example.org"' in refused.text


def test_colleagues_at_the_same_query_are_named(office, time):
    id, _ = office.ask()
    office.desk_of("Wren Larkspur").read(id)
    second = office.desk_of("Mo Carter")
    assert "Wren Larkspur has this query open too." in second.read(id).text
    time.now += timedelta(minutes=2)
    assert "Wren Larkspur opened this query on" in second.read(id).text
    time.now += timedelta(minutes=20)
    assert "Wren Larkspur opened" not in second.read(id).text


def test_a_draft_that_keeps_itself_says_that_somebody_writes(office):
    id, conversation = office.ask()
    browser = office.desk_of()
    assert post(browser, f"/console/queries/{id}/draft", text="Half a thou").status_code == 204
    assert "Wren Larkspur is writing a reply to this query." in office.desk_of("Mo Carter").read(id).text
    assert "Half a thou</textarea>" in browser.read(id).text
    assert post(office.desk_of("Ivy Kestrel"), f"/console/queries/{id}/draft", text="x").status_code == 403
    assert post(office.desk_of("Jay Goldfinch"), f"/console/queries/{id}/draft", text="x").status_code == 404


def test_an_open_page_is_told_what_is_new_and_nothing_twice(office):
    id, conversation = office.ask("<i>first</i>")
    presences = Presences(office.signpost.database, office.signpost.clock)
    reader = QueryReader(office.signpost.database, office.signpost.answers, office.signpost.clock, office.signpost.areas, office.signpost.office.supervision, presences)
    staff = {s.name: s for s in office.all(Staff)}
    lead = staff["Wren Larkspur"]
    told = _Told(office.query(id).version)

    def news(after=0):
        return [(event.event, event.data) for event in told.news(reader.snapshot(lead, id, after))]

    first = news()
    assert [kind for kind, _ in first] == ["message", "message", "here"] and "&lt;i&gt;first" in first[0][1]
    assert news(2) == []
    office.writes_again(conversation, "more of it")
    presences.here(id, staff["Mo Carter"].id)
    with office.signpost.database.write() as session:
        session.get_one(Query, id).chased_at = office.signpost.clock.now()
    kinds = [kind for kind, _ in news(2)]
    assert kinds == ["message", "here", "changed"]
    assert reader.snapshot(staff["Jay Goldfinch"], id, 0) is None


def test_a_parents_typing_is_seen_for_a_moment_and_says_nothing_of_the_words(office, time):
    from bot.conversations.standing import Standings

    id, conversation = office.ask()
    Standings(office.signpost.database, office.signpost.clock).parent_types(conversation)
    assert "is typing." in office.desk_of().read(id).text
    time.now += timedelta(seconds=20)
    assert "is typing." not in office.desk_of().read(id).text


def test_a_second_reader_of_another_team_can_open_what_they_are_asked_to_read(office, password_hash):
    add_staff(office.signpost.database, "Una East", areas=["somerset"], team="east", topics=["feeding"], password_hash=password_hash)
    add_staff(office.signpost.database, "Kim West", areas=["somerset"], team="west", topics=["waiting_time"], password_hash=password_hash)
    id, _ = office.ask(topic="feeding")
    writer, reader = office.desk_of("Una East"), office.desk_of("Kim West")
    assert reader.read(id).status_code == 404
    page = writer.read(id)
    writer.post(f"/console/queries/{id}/reply", data=reply_form(page, text="A careful answer", do="send"))
    asked = [s.name for s in office.all(Staff) if s.id in {a.staff_id for a in alerts(office)}]
    name = next(n for n in asked if n != "Una East")
    assert "I have read it: send it" in office.desk_of(name).read(id).text


def alerts(office):
    from bot.store.cycle import Alert

    return [a for a in office.all(Alert) if a.kind == "second_reader"]
