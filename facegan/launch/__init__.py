"""The processes and devices of one training."""
