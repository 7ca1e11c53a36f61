"""`python -m lab.kind up|down|status|env|logs --cluster infra`: the kind target's own command line."""

import sys

from lab.command_line import Lab, main

LAB = Lab(
    "kind",
    down="remove the kind cluster, its network, the lab's processes and its state",
    status="show engine, nodes and Git server",
    logs="show how the logs and the nodes' consoles end",
)

if __name__ == "__main__":
    sys.exit(main(LAB, sys.argv[1:]))
