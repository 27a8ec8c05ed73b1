"""What staff do with a query besides replying, as forms: each act is refused in words, or done and told."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Callable, Mapping

from bot.casework.supervision import Refused
from bot.console.notebook import Notebook
from bot.console.schools import Schools
from bot.console.query_page import QueryView
from bot.store.tables import Staff

if TYPE_CHECKING:
    from bot.parts import Signpost

Form = Mapping[str, str]


PERMISSIONS = {"close": "close"}
# what is for staff only, with the part of the page that it is in
QUIET = {"note": "note", "summary": "summary", "tag": "tags", "untag": "tags", "school": "school"}
# what is done for good is asked about first
ASKS = {
    "close": "Close this query? The parent is told the reason. They can open it again, staff cannot.",
    "explanation-withdrawn": "Withdraw this request? The body is reminded no more, and its answer is not awaited.",
    "send-back": "Send the reply back to its writer? It is not sent to the parent.",
}


class Acts:
    """The acts by name (the last part of the form's address). `about` is the id of a reply, delivery or request of that query."""

    def __init__(self, signpost: "Signpost") -> None:
        self._supervision, self._replies = signpost.office.supervision, signpost.replies
        notebook = Notebook(signpost.database, signpost.clock, signpost.masker)
        self.schools = Schools(signpost.database)
        self._by_name: dict[str, Callable[[QueryView, Form, Staff], None]] = {
            "hold": lambda view, form, member: self._supervision.take_conversation(view.query.id, member),
            "hand-back": lambda view, form, member: self._supervision.hand_back(view.query.id, member),
            "hand-over": lambda view, form, member: self._supervision.hand_over(view.query.id, form.get("to", ""), form.get("reason", ""), member, form.get("from_lead", "")),
            "promise": self._promise,
            "close": lambda view, form, member: self._supervision.close(view.query.id, form.get("reason", ""), member, form.get("duplicate_of", "")),
            "explain": self._explain,
            "explanation-answered": self._explained,
            "explanation-withdrawn": lambda view, form, member: self._supervision.withdraw_request(self._request(view, form), member),
            "send-again": lambda view, form, member: self._supervision.send_again(self._delivery(view, form)[0], member),
            "reached": lambda view, form, member: self._supervision.reached_otherwise(view.query.id, self._delivery(view, form)[1], form.get("how", ""), member),
            "take-back": lambda view, form, member: self._in_time(self._replies.take_back(self._reply(view, form), member)),
            "approve": lambda view, form, member: self._in_time(self._replies.approve(self._reply(view, form), member)),
            "note": lambda view, form, member: notebook.add_note(view.query.id, form.get("note", ""), member),
            "summary": lambda view, form, member: notebook.summarise(view.query.id, form.get("summary", ""), member, form.get("was")),
            "tag": lambda view, form, member: notebook.tag(view.query.conversation_id, form.get("tags", ""), member),
            "untag": lambda view, form, member: notebook.untag(view.query.conversation_id, form.get("about", "")),
            "school": lambda view, form, member: self._supervision.set_school(view.query.id, self.schools.known(view.query.area, form.get("school", "")), member),
            "send-back": lambda view, form, member: self._in_time(self._replies.send_back(self._reply(view, form), member, form.get("comment", ""))),
        }

    @property
    def names(self) -> list[str]:
        """Every act."""
        return list(self._by_name)

    def do(self, name: str, view: QueryView, form: Form, member: Staff) -> None:
        """Do it. Raises Refused."""
        self._by_name[name](view, form, member)

    def _promise(self, view: QueryView, form: Form, member: Staff) -> None:
        was = _day(form, "was") if form.get("was") else None
        self._supervision.change_promise(view.query.id, _day(form), form.get("reason", ""), member, was)

    def _explain(self, view: QueryView, form: Form, member: Staff) -> None:
        due_on = _day(form) if form.get("due_on") else None
        self._supervision.ask_to_explain(view.query.id, form.get("body", ""), form.get("text", ""), member, form.get("address", ""), due_on)

    def _explained(self, view: QueryView, form: Form, member: Staff) -> None:
        self._supervision.record_answer(self._request(view, form), form.get("text", ""), member)

    @staticmethod
    def _request(view: QueryView, form: Form) -> str:
        return _of([r.id for r in view.explanations], form)

    @staticmethod
    def _delivery(view: QueryView, form: Form) -> tuple[str, str]:
        id = _of([d.id for d in view.troubles], form)
        return id, next(d.message_id for d in view.troubles if d.id == id)

    @staticmethod
    def _reply(view: QueryView, form: Form) -> str:
        return _of([view.under_way.id] if view.under_way else [], form)

    @staticmethod
    def _in_time(done: bool) -> None:
        if not done:
            raise Refused("That is not possible any more, or is for a colleague to do. See what has happened below.")


def _of(known: list[str], form: Form) -> str:
    about = form.get("about", "")
    if about not in known:
        raise Refused("That has changed since you opened this page. See what has happened below.")
    return about


def _day(form: Form, name: str = "due_on") -> date:
    try:
        return date.fromisoformat(form.get(name, ""))
    except ValueError:
        raise Refused("Write the day like 2026-12-21.") from None
