"""Wrappers of the command-line tools: arguments in, frozen results out, one file per tool.

This package never decides whether a result is good enough, and runs processes through `process.run` alone.
"""
