"""Channels: the only modules that know how a parent is reached."""
