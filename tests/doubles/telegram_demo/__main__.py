"""Start Signpost and the double of the Bot API, and be the parent."""

from __future__ import annotations

import sys
import threading
from typing import Callable

import uvicorn

from bot.running import DidNotStart, free_port, running
from tests.doubles.telegram import TOKEN, BotApiDouble, Phone, Shown
from tests.doubles.telegram_demo.page import page_app

HELP = """
Type as the parent would, and press Enter. A number presses that button. These also work:
  :photo :voice :document :location :contact :sticker   send something that is not words
  :edit WORDS   change the newest message        :again   have Telegram repeat the newest update
  :block        block the bot                    :unblock let it write again
  :quit         stop everything
"""
THINGS = ("photo", "voice", "video", "document", "location", "contact", "sticker")


def show(chat: int, shown: Shown) -> None:
    """Print a message as it stands now."""
    who = "you" if shown.mine else "Signpost"
    if shown.mine and not shown.edited:
        return
    print(f"\n{who}{' (changed)' if shown.edited else ''}:")
    for line in shown.text.split("\n"):
        print(f"  {line}")
    for number, (title, _) in enumerate(shown.buttons, 1):
        print(f"  [{number}] {title}")
    print(flush=True)


def does(phone: Phone, line: str) -> None:
    """Do what a line of the terminal says."""
    verb, _, rest = line.partition(" ")
    if verb.startswith(":") and verb[1:] in THINGS:
        phone.sends(verb[1:], rest)
    elif verb == ":edit":
        phone.edits(rest)
    elif verb == ":again":
        phone.says(phone.newest_words, update_id=phone.newest_update)
    elif verb in (":block", ":unblock"):
        (phone.blocks if verb == ":block" else phone.unblocks)()
    elif verb.startswith(":"):
        print(HELP)
    elif line.isdigit() and (with_buttons := next((m for m in reversed(phone.messages) if m.buttons), None)) and 0 < int(line) <= len(with_buttons.buttons):
        phone.presses_data(with_buttons, with_buttons.buttons[int(line) - 1][1])
    elif line:
        phone.says(line)


def serve(app: Callable, port: int) -> None:
    """Serve the page beside the terminal."""
    config = uvicorn.Config(app, port=port, log_level="error")
    threading.Thread(target=uvicorn.Server(config).run, daemon=True).start()


def sign_ins(output: str) -> str:
    """The demo staff's sign-ins that the start printed."""
    return "\n".join(line for line in output.splitlines() if "@example.org" in line)


def main() -> None:
    """Run the demo until `:quit`, the end of input or Ctrl-C."""
    with BotApiDouble() as api:
        port = free_port()
        phone = api.phone()
        api.on_shown = show
        serve(page_app(api, phone), port)
        print("Starting Signpost …", flush=True)
        try:
            with running(telegram_token=TOKEN, telegram_api_url=api.url, undo_seconds="3") as system:
                print(f"\nThe phone:      http://127.0.0.1:{port}/\nThe console:    {system.url}/console\n\n{sign_ins(system.output.read_text())}\n{HELP}", flush=True)
                phone.starts()
                for line in sys.stdin:
                    if line.strip() == ":quit":
                        break
                    does(phone, line.strip())
        except DidNotStart as problem:
            sys.exit(f"Signpost did not start:\n{problem}")
        except KeyboardInterrupt:
            pass
    print("Stopped.")


if __name__ == "__main__":
    main()
