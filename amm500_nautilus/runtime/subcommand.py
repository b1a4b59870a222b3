"""How a room adds its commands to the parser of ``amm500``, and the arguments that many of them take."""

import argparse
from collections.abc import Callable


Handler = Callable[[argparse.Namespace], int]
Add = Callable[[str, Handler, str], argparse.ArgumentParser]


def add_overrides(sub: argparse.ArgumentParser) -> None:
    """Let a command change keys of its run file."""
    sub.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")


def add_run_file(sub: argparse.ArgumentParser, text: str) -> None:
    """Let a command take a run file, described by ``text``, and keys of it in other words."""
    sub.add_argument("config", help=text)
    add_overrides(sub)
