"""Conversion to uint8, grids and captions, diagrams."""
