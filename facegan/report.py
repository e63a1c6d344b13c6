"""The leaderboard of a sweep, made again: ``python -m facegan.report DIR``."""

import argparse
import logging
import sys
from pathlib import Path

from facegan.errors import FaceganError, expect
from facegan.pages import leaderboard


def main() -> None:
    parser = argparse.ArgumentParser(prog="facegan.report", description=__doc__.replace("``", ""))
    parser.add_argument("directory", type=Path, metavar="DIR", help="runs/DATASET/sweep_TIME")
    directory = parser.parse_args().directory
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        expect(directory.is_dir(), f"{directory} is not a directory.")
        leaderboard.write(directory)
    except FaceganError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
