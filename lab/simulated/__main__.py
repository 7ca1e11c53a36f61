"""The command line of the simulated target: `python -m lab.simulated up|down|status|env|logs`."""

import sys

from lab.command_line import Lab, main

LAB = Lab(
    "simulated",
    down="end every process of the lab and remove its state",
    status="show processes and listeners",
    logs="show where the logs are and how they end",
)

if __name__ == "__main__":
    sys.exit(main(LAB, sys.argv[1:]))
