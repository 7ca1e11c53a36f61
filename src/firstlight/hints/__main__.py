"""`python -m firstlight.hints explain FL-008 | list | markdown | match`: the catalogue's own command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from firstlight.hints.catalogue import explain, match
from firstlight.hints.telling import listing, markdown, tell


def main(argv: Sequence[str]) -> int:
    """Print what was asked for; an id that there is not is an error."""
    parser = argparse.ArgumentParser(
        prog="python -m firstlight.hints", description="known failures: symptom, cause, remedy"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("explain", help="print one row").add_argument(
        "id", help="such as FL-008, or 8"
    )
    commands.add_parser(
        "list", help="print a line for each row, in the order in which they are tried"
    )
    commands.add_parser("markdown", help="print docs/troubleshooting.md")
    commands.add_parser(
        "match", help="print the rows that match the text on standard input, three at most"
    )
    options = parser.parse_args(argv)
    if options.command == "explain":
        row = explain(options.id)
        if row is None:
            sys.stderr.write(
                f"cannot explain {options.id}: there is no such row\n  next      python -m firstlight.hints list\n"
            )
            return 1
        sys.stdout.write(tell(row))
    elif options.command == "match":
        rows = [explain(hint.id) for hint in match(sys.stdin.read())]
        sys.stdout.write(
            "\n".join(tell(row) for row in rows if row is not None)
            or "nothing in the catalogue matches\n"
        )
    else:
        sys.stdout.write(listing() if options.command == "list" else markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
