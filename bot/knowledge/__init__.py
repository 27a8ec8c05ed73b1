"""Answers, sources, areas and topics: loaded from `data/`, checked, looked up. Pure; no database, no clock."""
