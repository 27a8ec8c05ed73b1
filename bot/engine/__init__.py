"""The engine's own side: Rasa started, trained and spoken to. Runs on Python 3.10; imports only `bot.nlu`."""
