"""Linear probes and label networks: how well labels can be predicted from what D has learned."""
