"""Rasa graph components. Only the engine (Python 3.10) imports these."""
