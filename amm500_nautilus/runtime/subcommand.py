"""How a room adds its commands to the parser of ``amm500``, and the arguments that many of them take."""

import argparse
from collections.abc import Callable
from pathlib import Path


Handler = Callable[[argparse.Namespace], int]
Add = Callable[[str, Handler, str], argparse.ArgumentParser]


def run_path(text: str) -> Path:
    """
    Return the path of a run, with a name: ``.`` inside of a run directory is that directory.

    Raises
    ------
    argparse.ArgumentTypeError
        If nothing is named, or the whole file system.

    """
    path = Path(text)
    path = path.resolve() if path.name in ("", "..") else path
    if not text or not path.name:
        raise argparse.ArgumentTypeError(f"{text!r} is no run directory")
    return path


def seed(text: str) -> int:
    """
    Return the seed of random numbers.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is no whole number, or negative.

    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 0 or more")
    return int(text)


def add_overrides(sub: argparse.ArgumentParser) -> None:
    """Let a command change keys of its run file."""
    sub.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")


def add_run_file(sub: argparse.ArgumentParser, text: str) -> None:
    """Let a command take a run file, described by ``text``, and keys of it in other words."""
    sub.add_argument("config", help=text)
    add_overrides(sub)
