"""The chat as a web component for any website: its script, its words in seven languages, and how to embed it."""
