"""``amm500 dashboard RUN``: serve the read-only page of a journal until it is told to stop."""

import argparse
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from amm500_catalog.errors import InputError
from amm500_nautilus.monitor.dashboard_files import find_journal
from amm500_nautilus.monitor.dashboard_gate import SHORTEST_TOKEN
from amm500_nautilus.monitor.dashboard_gate import TICKET_S
from amm500_nautilus.monitor.dashboard_journal import JournalView
from amm500_nautilus.monitor.dashboard_server import LOOPBACK
from amm500_nautilus.monitor.dashboard_server import DashboardServer
from amm500_nautilus.monitor.dashboard_server import ServerSettings
from amm500_nautilus.monitor.dashboard_server import check
from amm500_nautilus.monitor.dashboard_server import clean_environment
from amm500_nautilus.monitor.errors import JournalError
from amm500_nautilus.monitor.errors import MonitorError
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.node.state_folder import STATE_FOLDER
from amm500_nautilus.runtime.rundir import PARTIAL
from amm500_nautilus.runtime.subcommand import run_path


Add = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]
PORT = 8500
LONGEST_TOKEN = 4_096
POLL_S = 0.2


def register(add: Add) -> None:
    """Add the command's parser."""
    parser = add("dashboard", dashboard, "serve a read-only page of a run's journal, for a browser")
    parser.add_argument("run", type=run_path, help="a run directory, a state folder, or a journal file")
    parser.add_argument(
        "--host", default=LOOPBACK, help="address to listen at; this machine alone by default"
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"{PORT} by default; 0 takes a free one")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="one more name by which browsers call it",
    )
    parser.add_argument("--tls-cert", type=Path, default=None, help="certificate chain, PEM")
    parser.add_argument("--tls-key", type=Path, default=None, help="its key, PEM")
    parser.add_argument(
        "--behind-proxy", action="store_true", help="a proxy in front speaks TLS and is the only one let near"
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        default=None,
        help="a file of mode 0600 with the token that programs send as Authorization: Bearer",
    )
    parser.add_argument(
        "--wait", type=float, default=0.0, metavar="SECONDS", help="for a journal that is not there yet"
    )


def dashboard(args: argparse.Namespace) -> int:
    """
    Serve until SIGINT or SIGTERM, and print one-time links.

    Raises
    ------
    InputError
        If there is no journal, the page would be shown unprotected, the port is taken or the extra is missing.

    """
    settings = ServerSettings(
        host=args.host,
        port=args.port,
        allowed_hosts=tuple(args.allow_host),
        certificate=args.tls_cert,
        key=args.tls_key,
        behind_proxy=args.behind_proxy,
        token="" if args.token_file is None else read_token(args.token_file),
    )
    try:
        check(settings)
    except MonitorError as error:
        raise InputError(str(error), "dashboard") from error
    if not args.wait:
        _place_of(args.run, 0.0)
    # what can be refused is refused: this process begins anew here
    drop_secrets()
    place = _place_of(args.run, args.wait)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    view = JournalView(place, state_folder=state_folder_of(args.run))
    try:
        view.snapshot("24h")
        server = DashboardServer(view, settings, _say_link)
    except JournalError as error:
        view.close()
        raise InputError(str(error), str(args.run), "a journal of this program") from error
    except MonitorError as error:
        view.close()
        raise InputError(str(error), "dashboard") from error
    print(f"dashboard of {args.run} at {server.url} (read-only; Ctrl-C ends it)", flush=True)
    server.start()
    try:
        while not stopped.wait(3_600.0):
            pass
    finally:
        server.close()
    return DONE


def _say_link(link: str) -> None:
    print(f"open once, within {TICKET_S / 60:.0f} minutes: {link}", flush=True)


def _place_of(run: Path, seconds: float) -> Path:
    """Return where the journal is, once it is there: with the run, or in the state folder that its configuration names."""
    deadline = time.monotonic() + seconds
    while True:
        state = state_folder_of(run)
        places = [run] if state is None else [run, state]
        for place in places:
            if find_journal(place) is not None:
                return place
        if time.monotonic() >= deadline:
            raise InputError(
                "no journal is here", str(run), "a run directory, a state folder, or a journal file"
            )
        time.sleep(POLL_S)


def state_folder_of(run: Path) -> Path | None:
    """Return the state folder that a run directory's ``config.yaml`` names; None where there is none to read."""
    for path in (run / "config.yaml", run.with_name(run.name + PARTIAL) / "config.yaml"):
        try:
            raw = yaml.safe_load(path.read_text(encoding="utf-8"))
            named = (raw.get("live") or {}).get("state_dir")
            return Path(STATE_FOLDER, raw["name"]) if named is None else Path(named)
        except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, UnicodeDecodeError):
            continue
    return None


def drop_secrets() -> None:
    """
    Begin this process anew without what a page does not need of its environment.

    Taking variables out of a running process leaves them readable in ``/proc/PID/environ``; a new program image has only what it is
    given. Nothing happens where there is nothing to drop.
    """
    kept = clean_environment(os.environ)
    if len(kept) == len(os.environ):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], kept)  # noqa: S606 - this program itself


def read_token(path: Path) -> str:
    """
    Return the token in a file that only its owner can read.

    Raises
    ------
    InputError
        If it cannot be read, others can read it, or it is too short or no single word.

    """
    try:
        with path.open("rb") as source:
            mode = os.fstat(source.fileno()).st_mode
            content = source.read(LONGEST_TOKEN + 1)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path), "a file with a token") from error
    if stat.S_IMODE(mode) & 0o077:
        raise InputError("others can read it", str(path), "mode 0600")
    try:
        token = content.decode("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    is_word = all(letter.isalnum() or letter in "-_.~+/=" for letter in token)
    if not SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN or not is_word:
        raise InputError(
            "holds no token", str(path), f"one word of at least {SHORTEST_TOKEN} letters and digits"
        )
    return token
