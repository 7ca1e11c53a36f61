"""Targets for rehearsing a bootstrap without hardware: simulated, Talos in containers, kind.

Nothing in `src/` imports this package: a target runs its lab's command line. Nothing here ever
reaches a real machine.
"""
