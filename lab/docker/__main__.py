"""The command line of the docker target: `python -m lab.docker --help`."""

import sys

from lab.command_line import main

if __name__ == "__main__":
    sys.exit(main("docker"))
