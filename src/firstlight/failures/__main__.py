"""`python -m firstlight.failures explain FL-008 | list | markdown | match`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from firstlight.failures.catalogue import BY_ID, find, match
from firstlight.failures.pages import listing, markdown, row_text


def main(argv: Sequence[str]) -> int:
    """Print what was asked for, and return 1 for an unknown id."""
    parser = argparse.ArgumentParser(
        prog="python -m firstlight.failures", description="known failures: symptom, cause, remedy"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("explain", help="print one row").add_argument(
        "id", help="such as FL-008, or 8"
    )
    commands.add_parser("list", help="print one line for each row, in matching order")
    commands.add_parser("markdown", help="print docs/troubleshooting.md")
    commands.add_parser("match", help="print up to three rows that match standard input")
    options = parser.parse_args(argv)
    if options.command == "explain":
        row = find(options.id)
        if row is None:
            sys.stderr.write(
                f"cannot explain {options.id}: there is no such row\n"
                "  next      python -m firstlight.failures list\n"
            )
            return 1
        sys.stdout.write(row_text(row))
    elif options.command == "match":
        rows = [BY_ID[hint.id] for hint in match(sys.stdin.read())]
        sys.stdout.write("\n".join(map(row_text, rows)) or "no row matches\n")
    else:
        sys.stdout.write(listing() if options.command == "list" else markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
