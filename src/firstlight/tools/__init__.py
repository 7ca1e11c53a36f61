"""Wrappers of the command-line tools, one module per tool: arguments in, frozen results out.

This package never decides whether a result is good enough. All processes run through `Runner` or
`firstlight.process.run`.
"""
