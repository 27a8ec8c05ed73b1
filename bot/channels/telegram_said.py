"""What a Telegram message holds: words, a command, or something that we do not open."""

from __future__ import annotations

from dataclasses import dataclass

from telegram import Message, MessageEntity

# In the order in which they are looked for: an animation is sent as a document too, a venue as a location.
_THINGS = {
    "photo": "picture",
    "animation": "video",
    "video": "video",
    "video_note": "video",
    "voice": "voice",
    "audio": "voice",
    "document": "file",
    "venue": "location",
    "location": "location",
    "contact": "contact",
    "sticker": "sticker",
    "dice": "sticker",
    "poll": "thing",
    "checklist": "thing",
    "story": "thing",
    "game": "thing",
    "paid_media": "picture",
    "invoice": "thing",
}


@dataclass(frozen=True)
class Command:
    """`/name rest`, the name in lower case and without the slash."""

    name: str
    rest: str


def command_in(message: Message) -> Command | None:
    """The command that a message begins with, as Telegram marked it."""
    first = message.entities[0] if message.entities else None
    if first is None or first.type != MessageEntity.BOT_COMMAND or first.offset != 0 or not message.text:
        return None
    name = message.parse_entity(first)
    return Command(name[1:].partition("@")[0].lower(), message.text.removeprefix(name).strip())


def thing_in(message: Message) -> str | None:
    """The kind of thing that was sent instead of words (`telegram_a_…`); nothing for what the app itself notes, such as a pinned message."""
    return next((kind for name, kind in _THINGS.items() if getattr(message, name, None)), None)
