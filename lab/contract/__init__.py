"""The contract: what the real machines answered to real talosctl calls is kept, and the simulated machines must answer the same."""
