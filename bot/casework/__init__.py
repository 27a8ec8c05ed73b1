"""The query cycle: a question that nobody could answer yet, its owner, its promise and its end."""
