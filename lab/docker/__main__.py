"""`python -m lab.docker up|down|status|env|logs --cluster infra`: the docker target's own command line."""

import sys

from lab.command_line import Lab, main

LAB = Lab(
    "docker",
    down="remove every container, volume and network of the lab, its processes and its state",
    status="show engine, machines and services",
    logs="show how the logs and the machines' consoles end",
)

if __name__ == "__main__":
    sys.exit(main(LAB, sys.argv[1:]))
