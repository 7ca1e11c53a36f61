"""The contract: the simulated machines must answer talosctl exactly as real machines did.

The answers of real machines are captured in files.
"""
