"""The engine's cache in a real Redis server: written as the node runs, with a password that is nowhere to be read."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.live import main
from amm500_nautilus.runtime.node import redis_cache
from amm500_nautilus.runtime.node.redis_cache import check
from amm500_nautilus.runtime.node.redis_cache import redis_of
from tests.live.exec_session import quiet_venue
from tests.live.redis_server import PASSWORD
from tests.live.redis_server import free_port
from tests.live.redis_server import keys
from tests.live.redis_server import redis_server
from tests.live.watched import ROOT
from tests.live.watched import Watched


pytestmark = pytest.mark.live_node
LOCAL = str(ROOT / "configs" / "local.yaml")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with redis_server(tmp_path_factory.mktemp("redis")) as found:
        yield found


def test_a_run_s_orders_are_in_redis_and_its_password_is_nowhere_else(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(redis_cache.PASSWORD, PASSWORD)
    with quiet_venue(generated_accounts=1) as venue:
        run = Watched(venue, tmp_path, f"live.cache=redis://127.0.0.1:{port}")

        def script(run: Watched) -> None:
            run.quoting()
            run.until(lambda: len(keys(port, "trader-*:orders:*")) >= 30, "the orders are in Redis")

        run.play(script)
    found = keys(port, "trader-*")
    # every start has keys of its own
    assert len({key.split(":")[1] for key in found}) == 1
    assert any(":accounts:" in key for key in found)
    texts = [path for path in run.directory.path.rglob("*") if path.is_file()]
    assert texts
    assert not [path for path in texts if PASSWORD.encode() in path.read_bytes()]
    assert redis_cache.PASSWORD not in redis_cache.os.environ


def test_a_wrong_password_is_a_sentence_and_no_run(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--set", f"live.cache=redis://127.0.0.1:{port}", "--out", str(tmp_path / "run"), "--quiet"]
    monkeypatch.setenv(redis_cache.PASSWORD, "wrong-password")
    assert main([LOCAL, *options]) == 2
    said = capsys.readouterr().err
    assert "refuses us (WRONGPASS)" in said
    assert "wrong-password" not in said
    monkeypatch.delenv(redis_cache.PASSWORD)
    assert main([LOCAL, *options]) == 2
    assert "refuses us (NOAUTH)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_said_in_a_sentence_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    assert main([LOCAL, "--set", f"live.cache={url}", "--out", str(tmp_path / "run"), "--quiet"]) == 4
    said = capsys.readouterr().err
    assert "cannot be reached" in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_something_else_that_listens_is_not_taken_for_redis() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            stream, _ = server.accept()
            with stream:
                stream.recv(1_000)
                stream.sendall(b"HTTP/1.1 400 Bad Request\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(SourceUnavailableError, match="does not answer as Redis does"):
            check(redis_of(f"redis://127.0.0.1:{server.getsockname()[1]}", {}))
        thread.join(10)


@pytest.mark.parametrize(
    "url",
    [
        "redis://name:secret-word@127.0.0.1",
        "http://127.0.0.1",
        "redis://",
        "redis://h:port",
        "127.0.0.1:6379",
    ],
)
def test_an_address_with_a_password_or_of_another_kind_is_refused_and_no_password_repeated(url: str) -> None:
    with pytest.raises(InputError, match=r"live\.cache") as caught:
        load_config(LOCAL, [f"live.cache={url}"])
    assert "secret-word" not in str(caught.value)


def test_name_and_password_leave_the_environment_and_are_not_shown() -> None:
    environ = {redis_cache.PASSWORD: "secret-word", redis_cache.USERNAME: "me"}
    found = redis_of("rediss://cache.example:6380", environ)
    assert (found.host, found.port, found.tls, found.username) == ("cache.example", 6_380, True, "me")
    assert environ == {}
    assert "secret-word" not in repr(found)
