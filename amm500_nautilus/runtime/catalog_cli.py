"""``amm500 catalog``: what the catalogue holds, and whether it is sound."""

import argparse

from amm500_catalog.errors import InputError
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.exits import FAILED
from amm500_nautilus.runtime.subcommand import Add


def register(add: Add) -> None:
    """Add the command to the parser."""
    sub = add("catalog", catalog, "list, check or query the catalogue")
    sub.add_argument("action", choices=("ls", "check", "query"))
    sub.add_argument("sql", nargs="?", default=None, help="the statement, for query")
    sub.add_argument("--root", default="catalog/store", help="the catalogue: a folder or an fsspec URL")


def catalog(args: argparse.Namespace) -> int:
    """List, check or query the catalogue."""
    from amm500_catalog.cli import catalog_check  # noqa: PLC0415
    from amm500_catalog.cli import catalog_ls  # noqa: PLC0415
    from amm500_catalog.cli import catalog_query  # noqa: PLC0415

    if args.sql is not None and args.action != "query":
        raise InputError(f"{args.sql!r} is not expected", f"amm500 catalog {args.action}", "nothing more")
    if args.action == "ls":
        print(catalog_ls(args.root).text())
        return DONE
    if args.action == "check":
        found = catalog_check(args.root)
        print(found.text())
        return DONE if found.is_sound else FAILED
    if not args.sql:
        raise InputError(
            "the statement is missing",
            "amm500 catalog query",
            'SQL, for example "select count(*) from trades"',
        )
    print(catalog_query(args.root, args.sql).text())
    return DONE
