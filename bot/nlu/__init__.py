"""Understanding: pure text and model code here, Rasa graph components in `bot.nlu.graph`. Imports nothing else of `bot`."""
