"""The simulated target: a lab on loopback addresses that behaves as the real machines, Git remote and 1Password do.

The lab is never more lenient than reality: what the real thing refuses, it refuses with the same words. Everything it
starts carries its mark in the environment, and everything it keeps lies in one state folder, so that `down` leaves nothing
behind.
"""
