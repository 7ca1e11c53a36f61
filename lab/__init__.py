"""Targets for people without the hardware: what the bootstrap can be rehearsed on.

Nothing under `src/` imports this package at run time but the simulated target, and nothing here ever reaches a real machine.
"""
