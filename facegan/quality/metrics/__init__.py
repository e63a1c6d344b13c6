"""Metrics of two sets of vectors, real and generated: pure functions of float tensors (N, d)."""
