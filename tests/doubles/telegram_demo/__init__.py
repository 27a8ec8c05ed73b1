"""`make demo-telegram`: Signpost on Telegram with no account and no internet. A parent's phone in the terminal and on a page."""
