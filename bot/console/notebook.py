"""What staff write about queries and conversations for one another: notes, a searchable summary, tags."""

from __future__ import annotations

import re

from sqlalchemy import delete

from bot.casework.supervision import Refused
from bot.clock import Clock, new_id
from bot.privacy.masking import Masker
from bot.store.console import Note, Summary, Tag
from bot.store.database import Database
from bot.store.tables import Staff

LONGEST_NOTE = 4000
LONGEST_SUMMARY = 300
LONGEST_TAG = 40


class Notebook:
    """Writes notes, summaries and tags. Raises Refused, with the reason in words for staff."""

    def __init__(self, database: Database, clock: Clock, masker: Masker) -> None:
        self._database, self._clock, self._masker = database, clock, masker

    def add_note(self, query_id: str, text: str, member: Staff) -> None:
        """A note on a query; parents never see it."""
        text = text.strip()
        if not text or len(text) > LONGEST_NOTE:
            raise Refused(f"Write a note of up to {LONGEST_NOTE:,} characters.")
        with self._database.write() as session:
            session.add(Note(id=new_id(), query_id=query_id, staff_id=member.id, text=text, at=self._clock.now()))

    def summarise(self, query_id: str, text: str, member: Staff, was: str | None = None) -> None:
        """One line about a query, which can be searched and so may hold nothing that says who somebody is; empty takes it away.

        Refused if a colleague has written another since `was` was shown.
        """
        text = " ".join(text.split())
        if len(text) > LONGEST_SUMMARY:
            raise Refused(f"A summary has up to {LONGEST_SUMMARY} characters.")
        if found := self._masker.mask(text).kinds:
            raise Refused(f"A summary can be searched, so it holds nothing that says who somebody is. Take out the {' and the '.join(k.replace('_', ' ') for k in found)}.")
        with self._database.write() as session:
            known = session.get(Summary, query_id, with_for_update=True)
            now = known.text if known else ""
            if was is not None and now not in (was, text):
                raise Refused(f"Meanwhile a colleague has changed the summary to “{now}”. Yours is still in its box: keep it to replace theirs." if now else "Meanwhile a colleague has taken the summary away. Yours is still in its box: keep it to set it again.")
            if text:
                session.merge(Summary(query_id=query_id, text=text, staff_id=member.id, at=self._clock.now()))
            else:
                session.execute(delete(Summary).where(Summary.query_id == query_id))

    def tag(self, conversation_id: str, typed: str, member: Staff) -> list[str]:
        """Add tags, with commas between; those added, in small letters."""
        tags = sorted({" ".join(part.lower().split()) for part in typed.split(",")} - {""})
        if not tags:
            raise Refused("Write a tag, or several with commas between.")
        for tag in tags:
            if len(tag) > LONGEST_TAG or not re.fullmatch(r"[\w &'’/-]+", tag):
                raise Refused(f"“{tag[:60]}” cannot be a tag. Use up to {LONGEST_TAG} letters, numbers and spaces.")
            if self._masker.mask(tag).found:
                raise Refused(f"“{tag}” says who somebody is, or could. Tags can be searched: use another word.")
        with self._database.write() as session:
            for tag in tags:
                if session.get(Tag, (conversation_id, tag)) is None:
                    session.add(Tag(conversation_id=conversation_id, tag=tag, staff_id=member.id, at=self._clock.now()))
        return tags

    def untag(self, conversation_id: str, tag: str) -> None:
        """Take a tag away."""
        with self._database.write() as session:
            session.execute(delete(Tag).where(Tag.conversation_id == conversation_id, Tag.tag == tag))
