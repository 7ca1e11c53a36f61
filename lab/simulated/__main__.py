"""The command line of the simulated target: `python -m lab.simulated --help`."""

import sys

from lab.command_line import main

if __name__ == "__main__":
    sys.exit(main("simulated"))
