"""Linear probes and a network of its own: how well labels can be told from features."""
