"""The work of ``amm500 start``: questions, checks, confirmation, and two processes that outlive it."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Protocol
from typing import Self

from amm500_catalog.errors import InputError
from amm500_nautilus.monitor.control_client import send_command
from amm500_nautilus.monitor.errors import ControlError
from amm500_nautilus.runtime.config import REAL_MODES
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.exits import BAD_CONFIG
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.exits import FAILED
from amm500_nautilus.runtime.node.confirm import VARIABLE
from amm500_nautilus.runtime.node.confirm import Approval
from amm500_nautilus.runtime.node.confirm import confirm
from amm500_nautilus.runtime.node.confirm import confirmation
from amm500_nautilus.runtime.node.monitoring import config_hash
from amm500_nautilus.runtime.node.state_folder import state_folder
from amm500_nautilus.runtime.operate.start_checks import Check
from amm500_nautilus.runtime.operate.start_checks import check_all
from amm500_nautilus.runtime.operate.start_cli import LENGTHS
from amm500_nautilus.runtime.operate.start_cli import MODES


OPEN = "open"
LIVE = "live"
PROGRAM = "from amm500_nautilus.runtime.cli import main; raise SystemExit(main())"
# the node needs seconds to come up; a venue may take its time
UP_S = 120.0
LINK_S = 90.0
STEP_S = 0.2
TAIL_LINES = 8


class Process(Protocol):
    """The part of ``Popen`` that is used."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        ...


class Spawn(Protocol):
    """Starts a process that outlives this one, its output in a file."""

    def __call__(
        self, arguments: list[str], env: Mapping[str, str], log: Path, descriptors: tuple[int, ...]
    ) -> Process:
        """Start it."""
        ...


def spawn(arguments: list[str], env: Mapping[str, str], log: Path, descriptors: tuple[int, ...]) -> Process:
    """Start ``amm500`` with these arguments in a session of its own: it goes on when the terminal is closed."""
    # appended to: the file may be emptied while the process writes
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", PROGRAM, *arguments],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=descriptors,
        )
    finally:
        os.close(handle)


def ask_node(folder: Path) -> Mapping[str, Any] | None:
    """Return the status of the node of a state folder, None while none answers."""
    try:
        return send_command(folder, "status")
    except ControlError:
        return None


@dataclass(slots=True, kw_only=True)
class Starter:
    """
    One start.

    Parameters
    ----------
    config : str
        The run file.
    overrides : tuple of str
        ``--set``.
    mode, length : str, optional
        Asked for where they are None.
    takes_defaults : bool
        What is not given is taken from the run file, and nothing is asked.
    checks_only : bool
        Nothing is started.
    dashboard_port : int, optional
        None starts no dashboard.
    approval : Approval
        What was said of mode live, and whoever can be asked.
    environ : mapping
        What the processes are given.
    say : callable
        Takes lines for the terminal.
    spawn : Spawn
        Starts a process.
    ask_node : callable
        Returns the status of the node of a state folder, None while none answers.
    up_secs, link_secs : float
        How long to wait for the node's first answer, and for the dashboard's link.

    """

    config: str
    overrides: tuple[str, ...] = ()
    mode: str | None = None
    length: str | None = None
    takes_defaults: bool = False
    checks_only: bool = False
    dashboard_port: int | None = None
    approval: Approval
    environ: Mapping[str, str]
    say: Callable[[str], None] = print
    spawn: Spawn = spawn
    ask_node: Callable[[Path], Mapping[str, Any] | None] = ask_node
    up_secs: float = UP_S
    link_secs: float = LINK_S

    @classmethod
    def of(cls, args: argparse.Namespace) -> Self:
        """Return the start of a command line."""
        return cls(
            config=args.config,
            overrides=tuple(args.overrides),
            mode=args.mode,
            length=args.length,
            takes_defaults=args.yes,
            checks_only=args.check,
            dashboard_port=None if args.no_dashboard else args.dashboard_port,
            approval=Approval(
                confirm_live=args.confirm_live,
                override=args.override_paper_gate,
                environ=os.environ,
                ask=input if sys.stdin.isatty() else None,
            ),
            environ=os.environ,
        )

    def run(self) -> int:
        """
        Ask, check, start, and return the exit code.

        Raises
        ------
        InputError
            If something is missing or not confirmed.
        SourceUnavailableError
            If the venue cannot be reached.

        """
        overrides = self._overrides()
        config = load_config(self.config, list(overrides))
        if config.mode not in MODES:
            raise InputError(
                config.mode, f"{config.name}: mode", f"{', '.join(MODES)}; run_live.py runs local"
            )
        checks, coin = check_all(
            config, self.environ, dashboard=self.dashboard_port is not None, override=self.approval.override
        )
        for check in checks:
            self.say(check.line)
        failed = [check for check in checks if not check.is_ok]
        if failed:
            self.say(f"{len(failed)} of {len(checks)} checks failed; nothing was started")
            return BAD_CONFIG
        if self.checks_only:
            self.say(f"{len(checks)} checks, none failed; nothing was started")
            return DONE
        env = dict(self.environ)
        if config.mode == LIVE:
            env[VARIABLE] = self._confirmed(config, coin, checks)
        return self._start(config, overrides, env)

    # -- questions ---------------------------------------------------------------------------------------------------

    def _overrides(self) -> tuple[str, ...]:
        """Return ``--set`` with mode and length, asked for where nobody has said them."""
        config_mode = load_config(self.config, list(self.overrides)).mode if self.mode is None else self.mode
        mode = self.mode or self._choose("mode", {name: name for name in MODES}, config_mode)
        overrides = (*self.overrides, f"mode={mode}")
        length = self.length
        if length is None:
            said = load_config(self.config, list(overrides)).live.duration or OPEN
            length = self._choose("length", LENGTHS | ({} if said in LENGTHS else {said: said}), said)
        return (*overrides, f"live.duration={'null' if length == OPEN else length}")

    def _choose(self, what: str, choices: Mapping[str, str], default: str) -> str:
        if self.takes_defaults:
            return default
        if self.approval.ask is None:
            raise InputError("is not given, and there is no terminal to ask at", f"--{what}", "it, or --yes")
        names = list(choices)
        self.say(f"{what}: " + ", ".join(f"{number} {choices[name]}" for number, name in enumerate(names, 1)))
        while True:
            try:
                said = self.approval.ask(f"{what} [{default}]: ").strip().lower()
            except EOFError:
                raise InputError("was not given", f"--{what}", ", ".join(names)) from None
            if not said:
                return default
            if said in choices:
                return said
            if said.isdecimal() and 1 <= int(said) <= len(names):
                return names[int(said) - 1]
            self.say(f"{said!r} is none of them")

    def _confirmed(self, config: RunConfig, coin: str, checks: list[Check]) -> str:
        """Return the confirmation that the supervisor hands to its nodes."""
        account, digest = config.live.vault or config.live.user or "", config_hash(config)
        notes = "; ".join(check.text for check in checks if check.is_warning)
        text = f"live: {coin}, account {account}, at most {config.live.max_equity_used:g} used"
        confirm(
            self.approval,
            address=account,
            config_hash=digest,
            text=f"{text}\nwarnings: {notes}" if notes else text,
        )
        return confirmation(account, digest)

    # -- processes ---------------------------------------------------------------------------------------------------

    def _start(self, config: RunConfig, overrides: tuple[str, ...], env: Mapping[str, str]) -> int:
        folder = state_folder(config)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = folder / "supervisor.log"
        arguments = ["supervise", self.config]
        arguments += [part for text in overrides for part in ("--set", text)]
        if (self.approval.override or "").strip():
            arguments += ["--override-paper-gate", str(self.approval.override)]
        supervisor = self.spawn(arguments, env, log, _descriptors(config))
        self.say(f"supervisor {supervisor.pid}, log {log}")
        code = self._wait_until_up(supervisor, folder)
        if code is not None:
            self._show_end_of(log)
            self.say(f"the supervisor ended with {code}")
            return code
        if self.dashboard_port is not None:
            self._start_dashboard(folder)
        self.say(f"running: amm500 status {folder}; amm500 stop {folder} ends it in good order")
        return DONE

    def _wait_until_up(self, supervisor: Process, folder: Path) -> int | None:
        """Wait until the node answers; return an exit code when it never does."""
        deadline = time.monotonic() + self.up_secs
        while time.monotonic() < deadline:
            code = supervisor.poll()
            if code is not None:
                return code or FAILED
            answer = self.ask_node(folder)
            if answer is None:
                time.sleep(STEP_S)
                continue
            self.say(f"node: {answer['state']}, equity {answer['equity']}, position {answer['position']}")
            return None
        self.say(f"no node answered within {self.up_secs:.0f} s; the supervisor goes on trying")
        return FAILED

    def _start_dashboard(self, folder: Path) -> None:
        log = folder / "dashboard.log"
        arguments = ["dashboard", str(folder), "--port", str(self.dashboard_port), "--wait", "30"]
        env = {name: value for name, value in self.environ.items() if not _is_secret(name)}
        page = self.spawn(arguments, env, log, ())
        deadline = time.monotonic() + self.link_secs
        while page.poll() is None and time.monotonic() < deadline:
            link = next((line for line in _lines(log) if "open once" in line), None)
            if link is not None:
                # it opens the page once: it stays on this terminal alone
                os.truncate(log, 0)
                self.say(f"dashboard {page.pid} (kill ends it; the run goes on): {link}")
                return
            time.sleep(STEP_S)
        if page.poll() is None:
            self.say(f"dashboard {page.pid} is still coming up; its link will be in {log}")
            return
        self._show_end_of(log)
        self.say("the dashboard did not come up; the run goes on without it")

    def _show_end_of(self, log: Path) -> None:
        for line in _lines(log)[-TAIL_LINES:]:
            self.say(f"  {line}")


def _lines(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _descriptors(config: RunConfig) -> tuple[int, ...]:
    """Return the descriptors with passphrases, which the supervisor is to have."""
    if config.mode not in REAL_MODES:
        return ()
    signers = (config.live.signer, config.supervise.direct_signer)
    found = {
        signer.descriptor
        for signer in signers
        if signer is not None and signer.source == "keystore" and signer.unlock_by == "descriptor"
    }
    return tuple(sorted(number for number in found if number is not None))


def _is_secret(name: str) -> bool:
    return name.startswith("AMM500_") or any(
        word in name.upper() for word in ("KEY", "SECRET", "TOKEN", "PASS")
    )
