"""What websites fetch to show the chat, who may do so, and the words of its interface."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from bot.app import create_app
from bot.channels.headers import OtherSites
from bot.clock import new_id
from bot.knowledge.answers import Answers
from bot.settings import ROOT, SettingProblem
from bot.setup import assets
from bot.store.tables import Draft
from bot.widget.build import TARGET, BuildProblem, build, packed
from bot.widget.embedding import Embedding, EmbeddingRefused
from bot.widget.words import FOLDER, all_words, words
from tests.conftest import add_staff

SCHOOL = "https://www.hill.example"
MOST_BYTES = 15_000
MOST_WORDS = 60


@pytest.fixture(scope="module", autouse=True)
def built():
    """The script, made of the sources as they are now."""
    stamp = assets.TARGET / "lock.sha256"
    if not TARGET.exists() or not stamp.exists() or stamp.read_text() != assets.fingerprint():
        build()


@pytest.fixture
def client(settings, signpost):
    with TestClient(create_app(replace(settings, embed_origins=f"{SCHOOL} https://*.trust.example"))) as client:
        yield client


def test_the_script_is_one_file_of_fifteen_kilobytes_at_most():
    assert len(packed(TARGET).read_bytes()) <= MOST_BYTES
    assert gzip.decompress(packed(TARGET).read_bytes()) == TARGET.read_bytes()


def test_the_script_runs_under_a_strict_policy_and_names_no_other_address():
    script = TARGET.read_text(encoding="utf-8")
    assert not re.search(r"\beval\(|new Function|innerHTML|insertAdjacentHTML|document\.write|setAttribute\(.style", script)
    assert re.findall(r"https?://[^\s\"'`]+", script) == []
    assert "document.cookie" not in script


def test_a_script_that_cannot_be_made_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr("bot.widget.build.ESBUILD", tmp_path / "nothing")
    with pytest.raises(BuildProblem, match="npm ci"):
        build(tmp_path / "x.js")


def test_the_script_is_served_packed_to_browsers_that_can_read_it_and_only_when_it_changed(client):
    plain = client.get("/widget/signpost-chat.js", headers={"accept-encoding": "identity"})
    assert plain.headers["content-type"].startswith("text/javascript") and "content-encoding" not in plain.headers
    zipped = client.get("/widget/signpost-chat.js", headers={"accept-encoding": "gzip"})
    assert zipped.headers["content-encoding"] == "gzip" and zipped.text == plain.text
    assert client.get("/widget/signpost-chat.js", headers={"accept-encoding": "gzip", "if-none-match": zipped.headers["etag"]}).status_code == 304


def test_the_assets_are_made_again_when_a_source_of_the_script_changes(monkeypatch, tmp_path):
    shutil.copytree(ROOT / "bot" / "widget", tmp_path / "bot" / "widget")
    for name in ("package-lock.json", "bot/assets.py"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    monkeypatch.setattr(assets, "ROOT", tmp_path)
    before = assets.fingerprint()
    with (tmp_path / "bot" / "widget" / "src" / "style.css").open("a") as style:
        style.write("p { color: red }")
    assert assets.fingerprint() != before


# --- words ---


@pytest.mark.parametrize("code", ["en", "pl", "pt", "ro", "uk", "ar", "bn"])
def test_every_language_has_every_word_with_the_same_blanks_to_fill(code):
    def blanks(given):
        return {name: sorted(re.findall(r"\{\w+\}", json.dumps(value, ensure_ascii=False))) for name, value in given.items()}

    english, given = all_words()["en"].given, all_words()[code].given
    assert blanks(given) == blanks(english)
    assert (len(given["about"]), len(given["sizes"])) == (len(english["about"]), len(english["sizes"]))
    assert given["code"] == code == json.loads((FOLDER / f"{code}.json").read_text(encoding="utf-8"))["code"]
    assert given["direction"] == ("rtl" if code == "ar" else "ltr")
    if code != "en":
        same = [n for n in english if n not in ("code", "direction", "checked_by") and given[n] == english[n]]
        assert same == [], "these are still in English"
        assert given["checked_by"] is None, "a name goes here once a native speaker has read the file"


def test_the_words_before_a_chat_say_what_it_is_in_sixty_words():
    said = " ".join(all_words()["en"].given["about"])
    assert len(said.split()) <= MOST_WORDS
    for needed in ("computer program", "do not type names", "Staff", "can read this chat", "not for emergencies", "999"):
        assert needed in said


def test_the_chat_and_the_bot_tell_the_state_of_a_query_in_the_same_words():
    answers = Answers.load(ROOT / "data" / "answers")
    states = all_words()["en"].given["states"]
    assert {state: answers.say(f"state_{state}") for state in states} == states


def test_an_unknown_language_gives_english_on_pages_and_404_to_programs(client):
    assert words("xx").code == words(None).code == "en" and words("pl-PL").code == "pl"
    assert client.get("/widget/words/xx.json").status_code == 404
    assert client.get("/widget/words/pl.json").json()["code"] == "pl"


def test_the_page_without_javascript_speaks_the_language_that_is_asked_for_and_keeps_it(client):
    page = client.get("/chat?lang=ar").text
    assert '<html lang="ar" dir="rtl"' in page and all_words()["ar"].say("message") in page and all_words()["ar"].given["unchecked"] in page
    posted = client.post("/chat", data={"text": "hello", "lang": "ar"}, follow_redirects=False)
    assert "lang=ar" in posted.headers["location"]


# --- who may embed it ---


def preflight(client, origin, path="/api/chat/messages"):
    return client.options(
        path, headers={"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    )


@pytest.mark.parametrize("origin", [SCHOOL, "https://oak.trust.example", "https://a.b.trust.example"])
def test_a_website_that_was_let_in_can_use_the_chat(client, origin):
    assert preflight(client, origin).headers["access-control-allow-origin"] == origin
    started = client.post("/api/chat/sessions", headers={"origin": origin})
    assert started.status_code == 201 and started.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-credentials" not in started.headers
    assert client.get("/widget/words/pl.json", headers={"origin": origin}).headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize(
    "origin", ["https://elsewhere.example", "http://www.hill.example", "https://trust.example", "https://eviltrust.example", "https://www.hill.example.evil.example", "null"]
)
def test_a_website_that_was_not_let_in_cannot(client, origin):
    assert "access-control-allow-origin" not in preflight(client, origin).headers
    assert "access-control-allow-origin" not in client.post("/api/chat/sessions", headers={"origin": origin}).headers


def test_only_the_chat_is_open_to_other_websites(client):
    for path in ("/chat", "/chat/api/messages", "/console/sign-in", "/healthz"):
        assert "access-control-allow-origin" not in client.get(path, headers={"origin": SCHOOL}).headers


def test_without_the_setting_no_website_is_let_in(settings, signpost):
    with TestClient(create_app(settings)) as client:
        assert "access-control-allow-origin" not in preflight(client, SCHOOL).headers
        assert "frame-ancestors 'self';" in client.get("/chat?embed=1").headers["content-security-policy"]


def test_only_the_chats_page_may_be_framed_by_those_websites(client):
    policy = client.get("/chat?embed=1").headers["content-security-policy"]
    assert f"frame-ancestors 'self' {SCHOOL} https://*.trust.example;" in policy
    assert "frame-ancestors 'self';" in client.get("/console/sign-in").headers["content-security-policy"]


@pytest.mark.parametrize("origins", ["*", "www.hill.example", "https://hill.example/path", "https://hill.example; script-src *", "javascript:alert(1)"])
def test_a_setting_that_is_no_origin_is_refused_by_name(settings, origins):
    with pytest.raises(SettingProblem, match="SIGNPOST_EMBED_ORIGINS"):
        replace(settings, embed_origins=origins).embedders


def test_the_middleware_for_other_websites_lets_nobody_in_by_itself():
    assert OtherSites(None, [])._shared.allow_origin_regex.fullmatch("") is None


# --- the tag ---


def test_the_generator_makes_the_tag_for_what_was_chosen(client):
    asked = {"area": "hampshire", "role": "parent", "language": "pl", "position": "left", "colour": "#123456", "heading": 'Ask "us" <now>'}
    page = client.get(f"/embed?{urlencode(asked)}").text
    tag = re.search(r'id="tag"[^>]*>(.*?)</textarea>', page, re.S)[1]
    for part in ("area=&#34;hampshire&#34;", "asking-as=&#34;parent&#34;", "language=&#34;pl&#34;", "position=&#34;left&#34;", "colour=&#34;#123456&#34;"):
        assert part in tag
    assert "<now>" not in page


def test_the_tag_holds_a_link_for_browsers_that_run_no_script_and_escapes_what_was_typed():
    tag = Embedding("https://chat.example", heading='"><script>alert(1)</script>', area="somerset").tag
    assert tag.count("<script") == 1 and "&lt;script&gt;" in tag
    assert '<a href="https://chat.example/chat?area=somerset">' in tag


@pytest.mark.parametrize(
    ("field", "value"), [("area", "mars"), ("role", "robot"), ("language", "xx"), ("position", "top"), ("colour", "red;}"), ("heading", "x" * 61)]
)
def test_what_cannot_be_used_is_told_at_its_field(client, field, value):
    with pytest.raises(EmbeddingRefused):
        Embedding.asked({field: value}, {"somerset": None}, "https://chat.example")
    page = client.get("/embed", params={field: value})
    assert page.status_code == 422 and f'id="{field}-error"' in page.text and "<title>Error:" in page.text


def test_the_page_for_schools_lists_who_may_embed_and_explains_the_policies(client):
    page = client.get("/embed").text
    for needed in (SCHOOL, "SIGNPOST_EMBED_ORIGINS", "frame-ancestors", "CORS", "script-src", "connect-src", "iframe"):
        assert needed in page


# --- how a conversation stands, and the page's own way to the API ---


def started(client):
    session = client.post("/api/chat/sessions").json()
    return session, {"Authorization": f"Bearer {session['token']}"}


def test_how_a_conversation_stands_is_told_without_fetching_its_messages(client, signpost):
    session, headers = started(client)
    assert client.get("/api/chat/standing", headers=headers).json() == {"newest": 1, "working": False, "writing": None, "queries": [], "telegram": False}
    accepted = signpost.log.accept(session["session"], "client-id-1", "hello")
    card = signpost.desk.open(session["session"], accepted.seq, reason="unresolved")
    standing = client.get("/api/chat/standing", headers=headers).json()
    assert (standing["newest"], standing["working"]) == (2, True)
    [query] = standing["queries"]
    assert query["reference"] == card.reference and query["state"] and query["lead"] and query["due_on"]
    assert client.get("/api/chat/standing").status_code == 401


def test_somebody_who_writes_a_reply_is_seen_to_write_for_a_while(client, signpost, time):
    session, headers = started(client)
    signpost.log.accept(session["session"], "client-id-1", "hello")
    card = signpost.desk.open(session["session"], 2, reason="unresolved")
    member = add_staff(signpost.database, "Cy Vale")
    app_now = client.app.state.signpost.clock.now()
    with signpost.database.write() as at:
        at.add(Draft(query_id=card.id, staff_id=member.id, text="Hel", at=app_now))
    assert client.get("/api/chat/standing", headers=headers).json()["writing"] == "Cy Vale"
    with signpost.database.write() as at:
        at.get(Draft, (card.id, member.id)).at = time.now.replace(year=2020)
    assert client.get("/api/chat/standing", headers=headers).json()["writing"] is None


def test_a_parents_own_message_carries_its_client_id_so_that_it_is_shown_once(client, engine_double):
    _, headers = started(client)
    client.post("/api/chat/messages", headers=headers, json={"client_id": "my-own-id", "text": "hello"})
    mine, answer = client.get("/api/chat/messages?after=1", headers=headers).json()["messages"]
    assert mine["client_id"] == "my-own-id" and "client_id" not in answer


def test_the_chats_page_uses_the_api_by_its_cookie_and_no_other_website_can(client, engine_double):
    client.get("/chat")
    body = {"client_id": new_id(), "text": "hello"}
    assert client.post("/chat/api/messages", json=body).status_code == 200
    assert [m["author"] for m in client.get("/chat/api/messages?after=1").json()["messages"]] == ["parent", "assistant"]
    for path in ("messages", "keep", "forget"):
        foreign = client.post(f"/chat/api/{path}", json={"client_id": new_id(), "text": "x"}, headers={"sec-fetch-site": "cross-site"})
        assert foreign.status_code == 403 and foreign.json()["error"]["message"].endswith(".")
    client.cookies.clear()
    assert client.get("/chat/api/messages").status_code == 401


def test_the_chats_cookie_goes_with_the_browser_unless_the_chat_is_to_be_kept(client):
    assert "Max-Age" not in client.get("/chat").headers["set-cookie"]
    kept = client.post("/chat/keep", data={"wanted": "1"}, follow_redirects=False)
    assert all("Max-Age=7776000" in cookie for cookie in kept.headers.get_list("set-cookie"))
    assert "Max-Age=7776000" in client.get("/chat").headers.get_list("set-cookie")[0]
    client.post("/chat/keep", data={}, follow_redirects=False)
    assert "Max-Age" not in client.get("/chat").headers.get_list("set-cookie")[0]


def test_the_script_can_keep_and_forget_the_chat_of_the_page(client):
    client.get("/chat")
    assert client.post("/chat/api/keep", json={"wanted": True}).json() == {"kept": True}
    assert client.cookies.get("signpost_keep")
    client.post("/chat/api/forget", json={})
    assert not client.cookies.get("signpost_chat") and not client.cookies.get("signpost_keep")
