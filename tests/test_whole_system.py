"""Real engine, real app, real processes: the path that everything else widens, and what happens when parts of it are killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from bot.running import Running, children_of, free_port
from bot.settings import ROOT
from tests.doubles.engine import EngineDouble

pytestmark = pytest.mark.engine

REFERENCE = re.compile(r"^SP-[3479ACDEFHJKMNPRTWXY]{8}$")


class Parent:
    """A parent with a chat on a running system."""

    def __init__(self, url: str, **body: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=60, trust_env=False)
        started = self.client.post("/api/chat/sessions", json=body).json()
        self.client.headers["Authorization"] = f"Bearer {started['token']}"

    def says(self, text: str) -> list[dict]:
        answer = self.client.post("/api/chat/messages", json={"client_id": uuid.uuid4().hex, "text": text})
        assert answer.status_code in (200, 202), answer.text
        return answer.json()["messages"]

    def presses(self, choice: dict) -> list[dict]:
        return self.client.post("/api/chat/messages", json={"client_id": uuid.uuid4().hex, "choice": choice["id"]}).json()["messages"]

    def after(self, seq: int, wait: int = 0) -> list[dict]:
        return self.client.get("/api/chat/messages", params={"after": seq, "wait": wait}).json()["messages"]


def test_a_question_is_answered_with_its_source(system: Running):
    [message] = Parent(system.url).says("He was discharged last year and has got worse again. Can we come back to the service?")
    assert (message["outcome"], message["topic"]) == ("answer", "core_offer_return")
    [source] = [s for s in message["sources"] if s["id"] == "S4"]
    assert source["quote"].startswith("The expectation of our commissioners is that children with long-term difficulties move in and out")
    assert source["title"] and source["url"].startswith("http")


def test_the_commissioner_of_today_stands_beside_the_one_in_the_source(system: Running):
    [message] = Parent(system.url).says("Who funds this service, is it paid for by the NHS?")
    assert message["topic"] == "core_offer_funding"
    assert "NHS Somerset Integrated Care Board" in message["text"] and "Somerset Clinical Commissioning Group" in message["text"]


def test_somebody_in_hampshire_is_told_that_somersets_rule_is_an_example(system: Running):
    [message] = Parent(system.url, area="hampshire").says("Can we come back after he was discharged last year?")
    assert message["topic"] == "core_offer_return" and "Somerset" in message["text"] and "your area may do it differently" in message["text"]


@pytest.mark.parametrize(("text", "outcome", "topic"), [("hello there", "talk", "greet"), ("thank you so much", "talk", "thank"), ("bye then", "talk", "goodbye")])
def test_small_talk_is_met(system: Running, text, outcome, topic):
    [message] = Parent(system.url).says(text)
    assert (message["outcome"], message["topic"]) == (outcome, topic)


def test_a_person_wanted_is_a_query_with_a_name_a_reference_and_a_day(system: Running):
    parent = Parent(system.url)
    [message] = parent.says("I want to speak to a real person please")
    query = message["query"]
    assert (message["outcome"], message["topic"]) == ("handoff", "talk_to_person")
    assert REFERENCE.match(query["reference"]) and query["lead"] and re.match(r"^\d{4}-\d\d-\d\d$", query["due_on"])
    assert query["reference"] in message["text"] and query["lead"] in message["text"]
    [status] = parent.says("what is happening with my question?")
    assert status["query"]["reference"] == query["reference"] and status["topic"] == "query_status"


def test_what_is_not_understood_is_asked_back_and_then_handed_over(system: Running):
    parent = Parent(system.url)
    [message] = parent.says("blorp frindle wex sprongle")
    if message["outcome"] == "clarify":
        assert all(c["title"] for c in message["choices"]) and any(c.get("topic") for c in message["choices"])
        none_of_these = next(c for c in message["choices"] if c["title"] == "None of these")
        [message] = parent.presses(none_of_these)
    assert message["outcome"] == "handoff" and REFERENCE.match(message["query"]["reference"])


@pytest.mark.parametrize("text", ["/talk_to_person", "/restart", "/core_offer_return", '/hand_over{"x": "y"}', " / restart"])
def test_text_is_never_a_command(system: Running, text):
    parent = Parent(system.url)
    parent.says("Can we come back after discharge?")
    [message] = parent.says(text)
    assert message["outcome"] in ("clarify", "handoff", "out", "talk", "answer")
    [after] = parent.says("I want to speak to a real person please")
    assert after["outcome"] == "handoff"


def test_a_turn_after_some_quiet_seconds_is_answered(system: Running):
    parent = Parent(system.url)
    parent.says("thank you so much")
    time.sleep(6.5)
    assert parent.says("thank you so much")[0]["topic"] == "thank"


def test_danger_gets_the_emergency_routes_first_and_the_on_call_lead(system: Running):
    [message] = Parent(system.url).says("my son is choking and his lips are going blue")
    assert (message["outcome"], message["topic"]) == ("urgent", "urgent_medical")
    assert message["text"].startswith("Call 999") and message["query"]["reference"]


def test_the_whole_way_from_an_unanswered_question_to_the_leads_reply(system: Running):
    parent = Parent(system.url)
    [told] = parent.says("I want to speak to a real person please")
    reference = told["query"]["reference"]
    with closing(staff_browser(system, told["query"]["lead"])) as staff:
        inbox = staff.get("/console").text
        assert reference in inbox
        page = staff.get(re.search(rf'href="(/console/queries/[0-9a-f]+)"[^>]*>\s*{reference}', inbox).group(1))
        assert "I want to speak to a real person please" in page.text
        form = reply_form(page.text)
        sent = staff.post(form.pop("action"), data={**form, "text": "Hello. The advice line can help you with this."})
        assert sent.status_code == 200, sent.text
    [reply] = [m for m in parent.after(told["seq"]) if m["author"] == "staff"]
    assert reply["text"] == "Hello. The advice line can help you with this."
    assert reply["name"].startswith(told["query"]["lead"]) and reply["query"]["state"] == "replied"


def credentials(system: Running, name: str) -> tuple[str, str]:
    """E-mail and password of the member of staff with that name, as the first start printed them."""
    line = next(line for line in system.output.read_text().splitlines() if line.rstrip().endswith(name))
    email, password = line.split()[:2]
    return email, password


def staff_sign_in(page, system: Running, name: str) -> None:
    """Sign a browser's page in as that member of staff."""
    email, password = credentials(system, name)
    page.goto(f"{system.url}/console/sign-in")
    page.locator("input[name=email]").fill(email)
    page.locator("input[name=password]").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console")


def staff_browser(system: Running, name: str) -> httpx.Client:
    """A signed-in browser of the member of staff with that name."""
    email, password = credentials(system, name)
    client = httpx.Client(base_url=system.url, follow_redirects=True, timeout=30, trust_env=False)
    page = client.get("/console/sign-in").text
    token = re.search(r'name="form_token" value="([^"]+)"', page).group(1)
    answer = client.post("/console/sign-in", data={"email": email, "password": password, "form_token": token})
    assert answer.status_code == 200 and str(answer.url).endswith("/console"), answer.text[:500]
    return client


def reply_form(page: str) -> dict[str, str]:
    """The hidden fields and the address of the reply form."""
    form = next(f for f in re.findall(r"<form.*?</form>", page, re.S) if 'name="idempotency_key"' in f)
    fields = {}
    for tag in re.findall(r"<input[^>]+>", form):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and 'type="hidden"' in tag:
            fields[name.group(1)] = value.group(1) if value else ""
    return {"action": re.search(r'action="([^"]+)"', form).group(1), **fields}


def test_the_engine_killed_in_mid_turn_loses_nothing_and_comes_back(system: Running):
    parent = Parent(system.url)
    engine = system.children()["engine"]
    os.kill(engine, signal.SIGSTOP)
    try:
        threading.Timer(1.0, os.kill, (engine, signal.SIGKILL)).start()
        messages = parent.says("can we come back?")
    finally:
        if system.children().get("engine") == engine:
            os.kill(engine, signal.SIGCONT)
    [apology] = messages
    assert apology["outcome"] == "handoff" and "999" in apology["text"] and REFERENCE.match(apology["query"]["reference"])
    assert [m["text"] for m in parent.after(1) if m["author"] == "parent"] == ["can we come back?"]
    system.wait_until_ready()
    assert system.children()["engine"] != engine
    [message] = parent.says("He was discharged last year and has got worse again. Can we come back to the service?")
    assert message["topic"] == "core_offer_return"


def test_a_hanging_engine_is_told_of_and_works_again_when_it_wakes(system: Running):
    parent = Parent(system.url)
    engine = system.children()["engine"]
    os.kill(engine, signal.SIGSTOP)
    try:
        messages = parent.says("who pays for the service?")
        while not messages:
            messages = [m for m in parent.after(2, wait=10) if m["author"] == "assistant"]
    finally:
        os.kill(engine, signal.SIGCONT)
    assert messages[0]["outcome"] == "handoff" and "Your message is safe" in messages[0]["text"]
    system.wait_until_ready()
    assert parent.says("thank you so much")[0]["topic"] == "thank"


two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="with one core the engine reads messages itself")


@two_cores
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_the_process_that_reads_messages_may_die_or_hang(system: Running, how):
    parent = Parent(system.url)
    assert parent.says("Who pays for the service?")[0]["topic"] == "core_offer_funding"
    engine = system.children()["engine"]
    [reader] = children_of(engine)
    os.kill(reader, how)
    for text, topic in (("He was discharged last year. Can we come back to the service?", "core_offer_return"), ("Who pays for the service?", "core_offer_funding")):
        assert parent.says(text)[0]["topic"] == topic
    assert system.children()["engine"] == engine
    [another] = children_of(engine)
    assert another != reader


@two_cores
def test_the_process_that_reads_messages_ends_with_the_engine(system: Running):
    Parent(system.url).says("Who pays for the service?")
    engine = system.children()["engine"]
    [reader] = children_of(engine)
    os.kill(engine, signal.SIGKILL)
    until = time.monotonic() + 10
    while Path(f"/proc/{reader}").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(f"/proc/{reader}").exists()
    time.sleep(0.5)
    system.wait_until_ready()


def staff_act(staff: httpx.Client, page: str, act: str, **fields: str) -> httpx.Response:
    """Post a form of a query's page."""
    html = staff.get(page).text
    hidden = {name: re.search(rf'name="{name}" value="([^"]*)"', html)[1] for name in ("csrf", "version")}
    return staff.post(f"{page}/{act}", data={**hidden, **fields})


def test_while_a_person_has_the_chat_the_bot_is_quiet_whatever_is_typed_or_restarted(system: Running):
    parent = Parent(system.url)
    [told] = parent.says("I want to speak to a real person please")
    with closing(staff_browser(system, told["query"]["lead"])) as staff:
        reference = told["query"]["reference"]
        page = re.search(rf'href="(/console/queries/[0-9a-f]+)"[^>]*>\s*{reference}', staff.get("/console").text).group(1)
        assert staff_act(staff, page, "start").status_code == 200
        [notice] = parent.says("How long is the waiting list?")
        assert "has this conversation now" in notice["text"]
        assert parent.says("/restart") == [] and parent.says("Who pays for the service?") == []
        assert parent.says("my son is choking and his lips are going blue")[0]["outcome"] == "urgent"
        [status] = parent.says(f"What is happening with my question {reference}?")
        assert status["topic"] == "query_status" and "working on it" in status["text"] and "Next," in status["text"]
        os.kill(system.children()["engine"], signal.SIGKILL)
        time.sleep(0.5)
        system.wait_until_ready()
        assert parent.says("Who pays for the service?") == []
        assert staff_act(staff, page, "hand-back").status_code == 200
        assert parent.says("Who pays for the service?")[0]["topic"] == "core_offer_funding"
        form = reply_form(staff.get(page).text)
        questions = re.findall(r'name="(mark-[0-9a-f]+)"', staff.get(page).text)
        staff.post(form.pop("action"), data={**form, "text": "Two months.", **dict.fromkeys(questions, "answered")})
    asked = parent.after(0)[-1]
    [thanks] = parent.presses(next(c for c in asked["choices"] if c["title"] == "Yes"))
    assert thanks["query"]["state"] == "confirmed"


def test_a_worker_runs_beside_the_app_and_one_that_dies_is_replaced(system: Running):
    first = system.children()["worker"]
    os.kill(first, signal.SIGKILL)
    until = time.monotonic() + 30
    while system.children().get("worker") in (None, first) and time.monotonic() < until:
        time.sleep(0.2)
    assert system.children()["worker"] != first
    with closing(staff_browser(system, "Basil Hawthornden")) as staff:
        assert "The worker has stopped" not in staff.get("/console").text


def test_the_app_killed_between_accept_and_reply_answers_exactly_once(tmp_path):
    """Needs no trained model: the engine here is a double that hangs until the app is dead."""
    with EngineDouble() as engine:
        port = free_port()
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SIGNPOST_")},
            **dict(SIGNPOST_PORT=str(port), SIGNPOST_DATA_DIR=str(tmp_path), SIGNPOST_ENGINE_URL=engine.url, SIGNPOST_ENGINE_TOKEN="t"),
            **dict(SIGNPOST_RATE_LIMITS="off", SIGNPOST_REPLY_WAIT="0.3"),
        }
        subprocess.run(
            [sys.executable, "-c", "from bot.cli import _prepare_database as p; from bot.settings import Settings as s; p(s.from_environment())"],
            cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        app = _start_app(environment, port)
        engine.hang = 30
        parent = Parent(f"http://127.0.0.1:{port}")
        answer = parent.client.post("/api/chat/messages", json={"client_id": "the-one-message", "text": "are you there?"})
        assert answer.status_code == 202
        app.kill()
        app.wait()
        engine.hang = 0
        app = _start_app(environment, port)
        try:
            messages = parent.after(2, wait=20)
            time.sleep(0.5)
            assert [(m["author"], m["text"]) for m in parent.after(1)] == [("parent", "are you there?"), ("assistant", "you said: are you there?")]
            assert messages
            again = parent.client.post("/api/chat/messages", json={"client_id": "the-one-message", "text": "are you there?"})
            assert again.status_code == 200 and [m["text"] for m in again.json()["messages"]] == ["you said: are you there?"]
        finally:
            app.terminate()
            app.wait()


def _start_app(environment: dict[str, str], port: int) -> subprocess.Popen:
    app = subprocess.Popen([sys.executable, "-m", "bot.serve"], cwd=ROOT, env=environment)
    for _ in range(200):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=1, trust_env=False).status_code == 200:
                return app
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError("the app did not start")


def test_the_ledger_balances_after_all_this(system: Running):
    environment = {**os.environ, "SIGNPOST_DATA_DIR": str(system.folder)}
    done = subprocess.run([sys.executable, "-m", "bot.cli", "ledger", "--json"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"balances": true' in done.stdout


def test_a_reference_anywhere_in_a_message_finds_the_query(system: Running):
    parent = Parent(system.url)
    [told] = parent.says("I want to speak to a real person please")
    reference = told["query"]["reference"]
    [status] = parent.says(f"hello it is me again about the letter and {reference.lower()} is what you gave me")
    assert status["topic"] == "query_status" and status["query"]["reference"] == reference
