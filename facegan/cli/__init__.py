"""The command line: everything that knows Hydra."""
