"""Processes and devices of one training."""
