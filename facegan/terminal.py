"""Whether somebody watches the output."""

import sys


def on_terminal() -> bool:
    """Whether a progress bar can be drawn: on a terminal or in a notebook, not into a file."""
    return "ipykernel" in sys.modules or bool(sys.stdout.isatty() or sys.stderr.isatty())
