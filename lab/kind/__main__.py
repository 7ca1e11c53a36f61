"""The command line of the kind target: `python -m lab.kind --help`."""

import sys

from lab.command_line import main

if __name__ == "__main__":
    sys.exit(main("kind"))
