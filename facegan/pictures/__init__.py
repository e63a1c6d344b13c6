"""Grids, captions and diagrams."""
