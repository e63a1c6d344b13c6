"""Drawn faces with exact labels."""
