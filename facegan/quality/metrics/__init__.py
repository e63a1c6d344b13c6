"""Metrics of two sets of vectors, real and generated: pure functions over float tensors (N, d)."""
