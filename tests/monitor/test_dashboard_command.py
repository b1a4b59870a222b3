"""``amm500 dashboard`` as its user starts it: what it prints, holds, refuses, and how it ends."""

import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from amm500_catalog.errors import InputError
from amm500_nautilus.monitor.journal import NAME
from amm500_nautilus.runtime.cli import build_parser
from amm500_nautilus.runtime.operate import dashboard_cli
from tests.monitor.dashboard_scene import TOKEN
from tests.monitor.dashboard_scene import written


ROOT = Path(__file__).resolve().parents[2]
COMMAND = "import sys; from amm500_nautilus.runtime.cli import main; sys.exit(main())"
SECRETS = {
    "HYPERLIQUID_AGENT_KEY": "0x" + "ab" * 32,
    "AMM500_ALERT_URLS": "mailtos://user:canary-password@example.org",
    "AWS_SECRET_ACCESS_KEY": "canary-storage",
}


def started(*arguments: str | Path) -> subprocess.Popen[str]:
    path = os.pathsep.join(str(ROOT / name) for name in (".", "adapters", "catalog"))
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "dashboard", *(str(each) for each in arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | SECRETS | {"PYTHONPATH": path},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with written(tmp_path / "state", minutes=2) as scene:
        yield scene.folder


def test_it_serves_holds_no_secret_reads_only_and_ends_when_told(folder: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o600)
    process = started(folder, "--port", "0", "--token-file", token)
    try:
        assert process.stdout is not None
        printed = process.stdout.readline() + process.stdout.readline()
        found = re.search(r"open once, within 10 minutes: http://127\.0\.0\.1:(\d+)/enter/\S+", printed)
        assert found is not None, printed
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=30)
        connection.request("GET", "/", headers={"Authorization": f"Bearer {TOKEN}"})
        assert connection.getresponse().status == 200
        connection.close()
        if sys.platform == "linux":
            about = Path("/proc") / str(process.pid)
            environ = (about / "environ").read_bytes()
            for name, value in SECRETS.items():
                assert name.encode() not in environ
                assert value.encode() not in environ
            assert TOKEN.encode() not in environ + (about / "cmdline").read_bytes()
            journals = [
                handle.name
                for handle in (about / "fd").iterdir()
                if handle.is_symlink() and handle.readlink() == folder / NAME
            ]
            assert journals
            for name in journals:
                flags = re.search(r"flags:\s+(\d+)", (about / "fdinfo" / name).read_text())
                assert flags is not None
                assert int(flags[1], 8) & os.O_ACCMODE == os.O_RDONLY
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert TOKEN not in printed + rest + errors
        assert errors == ""
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--host", "0.0.0.0"), "--behind-proxy"),
        (("--tls-cert", "c.pem"), "both files"),
        (("--port", "99999"), "0 to 65535"),
        (("--token-file", "/none/such"), "cannot be read"),
    ],
)
def test_what_it_cannot_show_safely_it_refuses_before_anything_else(
    arguments: tuple[str, ...], why: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late() -> None:
        raise AssertionError("it would have served")

    monkeypatch.setattr(dashboard_cli, "drop_secrets", too_late)
    args = build_parser().parse_args(["dashboard", str(folder), "--port", "0", *arguments])
    with pytest.raises(InputError, match=why):
        args.handler(args)


def test_a_place_without_a_journal_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no journal is here"):
        dashboard_cli._place_of(tmp_path / "none", 0.0)
    with pytest.raises(InputError, match="no journal is here"):
        dashboard_cli._place_of(tmp_path, 0.05)


def test_a_run_whose_account_outlives_it_is_shown_from_its_state_folder(tmp_path: Path) -> None:
    run, state = tmp_path / "runs" / "paper-1.partial", tmp_path / "state"
    run.mkdir(parents=True)
    for text in ("", "[]", "live: 3", "name: [", "live: {}"):
        (run / "config.yaml").write_text(text)
        assert dashboard_cli.state_folder_of(run) is None, text
    (run / "config.yaml").write_text("name: paper\n")
    assert dashboard_cli.state_folder_of(run) == Path("runs/state/paper")
    (run / "config.yaml").write_text(f"name: paper\nlive: {{state_dir: {state}}}\n")
    with pytest.raises(InputError, match="no journal is here"):
        dashboard_cli._place_of(run, 0.0)
    with written(state / "monitor", minutes=1):
        for name in ("paper-1.partial", "paper-1"):
            assert dashboard_cli._place_of(run.with_name(name), 0.0) == state


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (TOKEN, 0o644, "others can read it"),
        ("short", 0o600, "holds no token"),
        ("two words " * 5, 0o600, "holds no token"),
        ("é" * 40, 0o600, "holds no token"),
        ("x" * 5_000, 0o600, "holds no token"),
        ("", 0o600, "holds no token"),
    ],
)
def test_a_token_file_that_is_none_is_refused_and_not_repeated(
    content: str, mode: int, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(InputError, match=why) as refused:
        dashboard_cli.read_token(path)
    assert not content or content not in str(refused.value)
    with pytest.raises(InputError, match="cannot be read"):
        dashboard_cli.read_token(tmp_path / "none")


def test_a_token_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f" {TOKEN}\n")
    path.chmod(0o600)
    assert dashboard_cli.read_token(path) == TOKEN


def test_the_command_is_registered_with_its_defaults() -> None:
    args = build_parser().parse_args(["dashboard", "runs/x"])
    assert args.handler is dashboard_cli.dashboard
    assert (args.host, args.port, args.behind_proxy, args.wait) == ("127.0.0.1", 8500, False, 0.0)
