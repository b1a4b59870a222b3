"""``amm500 supervise``: what must hold before a node is started and watched, and what each start of it looks like."""

import os
import signal
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_nautilus.monitor.alerts import VARIABLE as ALERTS_VARIABLE
from amm500_nautilus.monitor.alerts import channels_from
from amm500_nautilus.monitor.errors import AlreadyRunningError
from amm500_nautilus.monitor.errors import MonitorError
from amm500_nautilus.monitor.heartbeat import ENDED
from amm500_nautilus.monitor.heartbeat import Beat
from amm500_nautilus.monitor.heartbeat import last_beat
from amm500_nautilus.monitor.journal import LOCK as JOURNAL_LOCK
from amm500_nautilus.monitor.supervisor import Rescue
from amm500_nautilus.monitor.supervisor import Supervisor
from amm500_nautilus.monitor.supervisor import Swept
from amm500_nautilus.monitor.supervisor import UnseenError
from amm500_nautilus.monitor.supervisor_child import Command
from amm500_nautilus.monitor.supervisor_diary import Before
from amm500_nautilus.monitor.supervisor_diary import Supervised
from amm500_nautilus.monitor.supervisor_diary import SupervisorDiary
from amm500_nautilus.monitor.supervisor_lock import PidLock
from amm500_nautilus.monitor.supervisor_lock import holder_of
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.load import apply_overrides
from amm500_nautilus.runtime.load import read_yaml
from amm500_nautilus.runtime.node.confirm import VARIABLE as CONFIRM_VARIABLE
from amm500_nautilus.runtime.node.confirm import Approval
from amm500_nautilus.runtime.node.confirm import confirm
from amm500_nautilus.runtime.node.confirm import confirmation
from amm500_nautilus.runtime.node.lock import SUPERVISOR_LOCK
from amm500_nautilus.runtime.node.lock import lock_folder
from amm500_nautilus.runtime.node.lock import network_of
from amm500_nautilus.runtime.node.modes import monitor_folder
from amm500_nautilus.runtime.node.monitoring import config_hash
from amm500_nautilus.runtime.node.monitoring import version
from amm500_nautilus.runtime.node.paper import candidates
from amm500_nautilus.runtime.node.signer_section import SignerSection
from amm500_nautilus.runtime.node.state_folder import state_folder
from amm500_nautilus.runtime.node.venue import venue_url
from amm500_nautilus.runtime.operate.direct import DirectRescue
from amm500_nautilus.runtime.operate.direct_access import accesses_of
from amm500_nautilus.runtime.operate.direct_access import dexes_of
from amm500_nautilus.runtime.operate.direct_access import has_account
from amm500_nautilus.runtime.operate.direct_access import open_key
from amm500_nautilus.runtime.rundir import PARTIAL


FOLDER = "supervisor"
MODULE = "amm500_nautilus.runtime.operate.supervised"
POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the person who starts a supervisor says: the run file, ``--set``, and what only mode live asks for."""

    config: str
    overrides: Sequence[str] = ()
    approval: Approval = field(default_factory=Approval)
    quiet: bool = False


class NoRescue:
    """Nothing to rescue: the orders of a simulated account end with its node."""

    outlives = False

    def cancel(self) -> Swept:
        """Say so."""
        return Swept(words="no order outlives its node in this mode")

    def flatten(self) -> Swept:
        """Say so."""
        return self.cancel()


def supervise(order: Order, say: Callable[[str], None] | None = None) -> int:
    """
    Run a node, watched, until it has done its work or a person is needed, and return the exit code.

    Raises
    ------
    InputError
        If the run file cannot be supervised, another supervisor is there, or the run is not confirmed.
    SourceUnavailableError
        If the venue does not answer before the first start, and nothing of ours can rest there.

    """
    say = say or _say
    raw = apply_overrides(read_yaml(Path(order.config)), order.overrides)
    config = load_config(order.config, list(order.overrides))
    if config.mode == "backtest":
        raise InputError("backtest", f"{config.name}: mode", "paper, local, testnet or live")
    for signer in (config.live.signer, config.supervise.direct_signer):
        if has_account(config) and signer is not None:
            _require_unattended(signer)
    with ExitStack() as stack:
        for lock in _locks(config):
            _take(lock)
            stack.callback(lock.drop)
        env = dict(os.environ)
        if config.mode == "live":
            # before anything is opened
            env[CONFIRM_VARIABLE] = _confirmed(config, order.approval)
        passphrases = _passphrases(config)
        rescue: Rescue = NoRescue()
        if has_account(config):
            rescue = DirectRescue(accesses_of(config), open_key(config))
            _scrub(config, env)
        end = _Ended()
        diary = stack.enter_context(_diary(config, say, end))
        snapshot = _snapshot(config, raw, state_folder(config) / FOLDER)
        _end_orphan(config, diary.before, say)
        if not has_account(config):
            say(f"mode {config.mode}: {rescue.cancel().words}; there is nothing to cancel directly")
        elif diary.before.is_ended:
            say(f"before the first start: {_first_look(rescue).words}")
        command = _Start(config, order, snapshot, env, passphrases)
        supervisor = Supervisor(config.supervise.settings(), command, rescue, diary, say)
        end.is_good = False
        with _signals(supervisor):
            code = _watched(supervisor, rescue, say, cancels_first=not diary.before.is_ended)
        end.is_good = supervisor.is_clear
        return code


def _watched(
    supervisor: Supervisor, rescue: Rescue, say: Callable[[str], None], *, cancels_first: bool
) -> int:
    try:
        return supervisor.run(cancels_first=cancels_first)
    except BaseException:
        # the node is killed by now: its orders must not outlive an error in here
        try:
            say(f"the supervisor fails; {rescue.cancel().words}")
        except MonitorError as error:
            say(f"the supervisor fails, and orders may rest: {error}")
        raise


# -- before the first start ------------------------------------------------------------------------------------------


def _locks(config: RunConfig) -> Iterator[PidLock]:
    """Give the lock of the state folder, and those of the account on each dex: two run files may name one account."""
    yield PidLock(state_folder(config) / SUPERVISOR_LOCK)
    if has_account(config):
        account = (config.live.vault or config.live.user or "").lower()
        network = network_of(venue_url(config)).replace(":", "_")
        for dex in dexes_of(config):
            yield PidLock(lock_folder(os.environ) / f"{network}-{account}-{dex}.supervisor.lock")


def _take(lock: PidLock) -> None:
    try:
        lock.take()
    except AlreadyRunningError as error:
        raise InputError(
            f"another supervisor is there: {error}", "amm500 supervise", "one for an account"
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot be made ({error.strerror})", str(lock.path), "a folder of this user's"
        ) from error


def _require_unattended(signer: SignerSection) -> None:
    if signer.source == "keystore" and signer.unlock_by == "prompt":
        raise InputError(
            "prompt: nobody is asked when a supervised node starts again",
            "live.signer.unlock_by",
            "descriptor or credential, or source environment",
        )


def _scrub(config: RunConfig, env: dict[str, str]) -> None:
    """Leave each process the key that it signs with, and no other."""
    own = config.supervise.direct_signer
    if config.live.signer.source == "environment":
        os.environ.pop(config.live.signer.variable, None)
    if own is not None and own.source == "environment" and own.variable != config.live.signer.variable:
        env.pop(own.variable, None)


def _confirmed(config: RunConfig, approval: Approval) -> str:
    """Return the confirmation that the nodes get: of this account and this configuration alone."""
    account, digest = config.live.vault or config.live.user or "", config_hash(config)
    text = (
        f"live: {' or '.join(candidates(config))} at {venue_url(config)}, account {account}, "
        f"at most {config.live.max_equity_used:g} used; a node that crashes is started again"
    )
    confirm(approval, address=account, config_hash=digest, text=text)
    return confirmation(account, digest)


def _snapshot(config: RunConfig, raw: dict[str, Any], folder: Path) -> Path:
    """Write the run file as it is now: a later edit changes no restart, and the mode least of all."""
    path = folder / "config.yaml"
    new = path.with_suffix(".new")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.write_text(yaml.safe_dump(raw, sort_keys=False, allow_unicode=True), encoding="utf-8")
        new.chmod(0o600)
        new.replace(path)
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror})", str(path), "a folder of this user's"
        ) from error
    if config_hash(load_config(path)) != config_hash(config):
        raise RuntimeError(f"{path} does not say what the run file says")
    return path


@dataclass(slots=True)
class _Ended:
    """Whether it ends in good order; None while that is as it was found."""

    is_good: bool | None = None


@contextmanager
def _diary(config: RunConfig, say: Callable[[str], None], end: _Ended) -> Iterator[SupervisorDiary]:
    try:
        channels = channels_from(os.environ)
    except MonitorError as error:
        raise InputError(str(error), ALERTS_VARIABLE) from error
    about = Supervised(
        name=config.name,
        mode=config.mode,
        coin=",".join(candidates(config)),
        account=(config.live.vault or config.live.user or "") if has_account(config) else "",
        config_hash=config_hash(config),
        version=version(),
    )
    diary = SupervisorDiary(state_folder(config) / FOLDER, about, channels)
    for note in diary.open(os.getpid()):
        say(note)
    try:
        yield diary
    finally:
        diary.close(is_ended=diary.before.is_ended if end.is_good is None else end.is_good)


def _end_orphan(config: RunConfig, before: Before, say: Callable[[str], None]) -> None:
    """See a node gone whose supervisor was killed; one that another way started is not touched."""
    lock = monitor_folder(config, Path()) / JOURNAL_LOCK
    if config.mode == "local":
        return
    holder = holder_of(lock)
    if holder is None:
        return
    if before.is_ended or not holder or holder != before.child:
        raise InputError(
            f"process {holder or 'unknown'} runs there, and no supervisor started it",
            str(lock.parent),
            f"amm500 stop {lock.parent.parent} first",
        )
    say(f"node {holder} outlived its supervisor; it was told to stop then")
    _send(holder, signal.SIGTERM)
    if not _ends(config, holder, lock):
        say(f"node {holder} does not stop; it is killed")
        _send(holder, signal.SIGKILL)
        while holder_of(lock) == holder:
            time.sleep(POLL_S)


def _ends(config: RunConfig, holder: int, lock: Path) -> bool:
    """Wait for an orphan's end; False when it takes too long, or its loop has no life any more."""
    settings = config.supervise
    began = moved = time.monotonic()
    last = None
    while holder_of(lock) == holder:
        now, beat = time.monotonic(), _beat_of(lock.parent)
        if beat != last:
            last, moved = beat, now
        is_silent = now - moved > settings.silence_secs and (beat is None or beat.state != ENDED)
        if is_silent or now - began > settings.stop_secs:
            return False
        time.sleep(POLL_S)
    return True


def _beat_of(folder: Path) -> Beat | None:
    with suppress(ValueError):
        return last_beat(folder)
    return None


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _first_look(rescue: Rescue) -> Swept:
    """Cancel what a node without a supervisor may have left, and see that this key can."""
    try:
        swept = rescue.cancel()
    except UnseenError as error:
        raise SourceUnavailableError(str(error)) from error
    except MonitorError as error:
        raise InputError(str(error), "supervise.direct_signer", "a key that can cancel") from error
    if swept.left:
        raise InputError(swept.words, "the account", "a look at the venue: its orders cannot be canceled")
    return swept


# -- each start ------------------------------------------------------------------------------------------------------


class _Passphrase:
    """A passphrase that came on a descriptor, kept for each start under the same number."""

    def __init__(self, number: int) -> None:
        self.number = number
        try:
            parts = []
            while part := os.read(number, 65_536):
                parts.append(part)
        except OSError as error:
            raise InputError(
                f"descriptor {number} cannot be read ({error.strerror})",
                "live.signer.descriptor",
                "an open descriptor with the passphrase",
            ) from error
        self._content = b"".join(parts)[:8_192]
        self.fill()

    def fill(self) -> None:
        """Put it into a pipe under its number, for one reader."""
        out, into = os.pipe()
        try:
            os.write(into, self._content)
            os.dup2(out, self.number, inheritable=False)
        finally:
            os.close(into)
            if out != self.number:
                os.close(out)


def _passphrases(config: RunConfig) -> tuple[_Passphrase, ...]:
    """Read what comes on descriptors, before anything else takes their numbers."""
    if not has_account(config):
        return ()
    signers = (config.live.signer, config.supervise.direct_signer)
    numbers = {
        signer.descriptor
        for signer in signers
        if signer is not None and signer.source == "keystore" and signer.unlock_by == "descriptor"
    }
    return tuple(_Passphrase(number) for number in sorted(number for number in numbers if number is not None))


class _Start:
    """How each node of a supervisor is started."""

    def __init__(
        self,
        config: RunConfig,
        order: Order,
        snapshot: Path,
        env: dict[str, str],
        passphrases: Sequence[_Passphrase],
    ) -> None:
        self._config = config
        self._order = order
        self._snapshot = snapshot
        self._env = env
        own = config.live.signer.descriptor
        # the reader of the direct key has closed its number: it is taken again before another file is given it
        self._all = tuple(passphrases)
        self._passphrases = tuple(each for each in passphrases if each.number == own)
        for each in self._all:
            each.fill()

    def __call__(self, number: int) -> Command:
        """Return the command of the next start."""
        argv = [sys.executable, "-m", MODULE, str(self._snapshot)]
        if self._order.quiet:
            argv.append("--quiet")
        if self._order.approval.override:
            argv += ["--override-paper-gate", self._order.approval.override]
        heartbeat = monitor_folder(self._config, Path())
        if self._config.mode == "local":
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            out = Path("runs") / f"{self._config.name}-{stamp}-{os.getpid()}-{number}"
            argv += ["--out", str(out)]
            heartbeat = monitor_folder(self._config, out.with_name(out.name + PARTIAL))
        for each in self._passphrases:
            each.fill()
        return Command(argv, self._env, heartbeat, tuple(each.number for each in self._passphrases))


@contextmanager
def _signals(supervisor: Supervisor) -> Iterator[None]:
    def on_signal(_number: int, _frame: Any) -> None:
        supervisor.tell_to_stop()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    # when nobody reads any more the node is looked after all the same
    with suppress(OSError):
        print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} supervisor: {text}", flush=True)
