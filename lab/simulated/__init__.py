"""The simulated target: a lab on loopback that behaves like real machines, Git host and 1Password.

The lab is never more lenient than reality: it refuses what the real system refuses, with the same
words. Every process it starts carries its mark in the environment, and all its files are in one
state folder, so `down` leaves nothing behind.
"""
