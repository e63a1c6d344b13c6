"""Pages that show what came out of runs and sweeps."""
