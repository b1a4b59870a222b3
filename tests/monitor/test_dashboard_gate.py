"""Who gets to see the dashboard: each route, each way in, and what is refused before anything is shown."""

import datetime as dt
import hashlib
import hmac
import http.client
import json
import re
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from amm500_nautilus.monitor import dashboard_gate
from amm500_nautilus.monitor import dashboard_server
from amm500_nautilus.monitor.dashboard_gate import COOKIE
from amm500_nautilus.monitor.dashboard_gate import TICKET_S
from amm500_nautilus.monitor.dashboard_gate import Tickets
from amm500_nautilus.monitor.dashboard_gate import host_name
from amm500_nautilus.monitor.dashboard_journal import JournalView
from amm500_nautilus.monitor.dashboard_page import ASSETS
from amm500_nautilus.monitor.dashboard_server import DashboardServer
from amm500_nautilus.monitor.dashboard_server import ServerSettings
from amm500_nautilus.monitor.dashboard_server import check
from amm500_nautilus.monitor.dashboard_server import clean_environment
from amm500_nautilus.monitor.errors import MonitorError
from tests.monitor.dashboard_scene import TOKEN
from tests.monitor.dashboard_scene import served
from tests.monitor.dashboard_scene import written


BEARER = {"Authorization": f"Bearer {TOKEN}"}
WITH_COOKIE = {"Cookie": f"{COOKIE}={TOKEN}"}
CALLBACK = "/_dash-update-component"
ROUTES = (
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/_dash-layout"),
    ("GET", "/_dash-dependencies"),
    ("GET", "/_favicon.ico"),
    ("GET", "/assets/dashboard.css"),
    ("GET", "/assets/dashboard.js"),
    ("GET", "/assets/charts.js"),
    ("GET", "/assets/tables.js"),
    ("GET", "/assets/uPlot.iife.min.js"),
    ("GET", "/assets/uPlot.min.css"),
    ("POST", CALLBACK),
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with written(tmp_path_factory.mktemp("journal")) as found:
        yield found


@pytest.fixture(scope="module")
def links() -> list[str]:
    return []


@pytest.fixture(scope="module")
def server(scene: Any, links: list[str]) -> Any:
    with served(scene, links) as found:
        yield found


def ask(
    server: DashboardServer,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: str | None = None,
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def callback_body(server: DashboardServer) -> str:
    """What the page itself would ask."""
    known = json.loads(ask(server, "GET", "/_dash-dependencies", BEARER)[2])
    # the others draw in the browser
    (asked,) = (each for each in known if each["clientside_function"] is None)
    outputs = [
        {"id": each.rpartition(".")[0], "property": each.rpartition(".")[2]}
        for each in asked["output"].strip(".").split("...")
    ]
    return json.dumps(
        {
            "output": asked["output"],
            "outputs": outputs,
            "changedPropIds": ["refresh.n_intervals"],
            "inputs": [
                each | {"value": value} for each, value in zip(asked["inputs"], (1, "1h"), strict=True)
            ],
            "state": [each | {"value": {}} for each in asked["state"]],
        }
    )


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=[f"{method} {path}" for method, path in ROUTES])
def test_every_route_asks_for_the_token(method: str, path: str, server: DashboardServer) -> None:
    body = callback_body(server) if method == "POST" else None
    kind = {"Content-Type": "application/json"} if body else {}
    wrong = TOKEN[:-1] + "y"
    for headers in (
        {},
        {"Authorization": f"Bearer {wrong}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Cookie": f"{COOKIE}={wrong}"},
        {"Cookie": f"other={TOKEN}"},
        {"Cookie": f"{COOKIE}="},
        {"Cookie": 'amm500_dashboard="\x01;;='},
    ):
        status, _, found = ask(server, method, path, headers | kind, body)
        assert status == 401, headers
        assert b"km:US500" not in found
        assert TOKEN.encode() not in found
    for headers in (BEARER, WITH_COOKIE):
        status, answered, found = ask(server, method, path, headers | kind, body)
        assert status == 200, headers
        assert "script-src 'self'" in answered["content-security-policy"]
        assert answered["x-content-type-options"] == "nosniff"
        private = path.startswith(("/assets", "/_dash-component"))
        assert answered["cache-control"] == ("private, max-age=3600" if private else "no-store")
        assert found or method == "HEAD"


def test_the_chart_library_is_the_one_that_its_makers_published() -> None:
    """The digests of the npm package's own files, as the document names them."""
    for name, digest in (
        ("uPlot.iife.min.js", "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"),
        ("uPlot.min.css", "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"),
        ("uPlot.LICENSE", "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd"),
    ):
        assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() == digest, name


def test_the_page_loads_neither_plotly_nor_what_it_does_not_use(server: DashboardServer) -> None:
    page = ask(server, "GET", "/", BEARER)[2].decode()
    scripts = re.findall(r'<script src="([^"?]+)', page)
    assert "/assets/uPlot.iife.min.js" in scripts
    assert len(scripts) >= 8
    assert not [each for each in scripts if re.search("plotly|polyfill|dash_table|async-", each)]
    weight = sum(len(ask(server, "GET", each, BEARER)[2]) for each in scripts)
    assert weight < 1_300_000


def test_the_callback_answers_with_figures(server: DashboardServer) -> None:
    kind = {"Content-Type": "application/json"}
    status, _, found = ask(server, "POST", CALLBACK, BEARER | kind, callback_body(server))
    assert status == 200
    answer = json.loads(found)["response"]
    assert answer["charts"]["data"]["equity"]["groups"][0]["lines"][0]["y"][-1] == 10_003.0
    assert answer["tables"]["data"]["fills"]["nothing"] == "no fill yet"
    assert "SIMULATED" in json.dumps(answer["head"])


def test_the_token_is_compared_in_constant_time(
    server: DashboardServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def told(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return hmac.compare_digest(left, right)

    class Told:
        compare_digest = staticmethod(told)

    monkeypatch.setattr(dashboard_gate, "hmac", Told)
    assert ask(server, "GET", "/", BEARER)[0] == 200
    assert compared == [(TOKEN.encode(), TOKEN.encode()), (b"", TOKEN.encode())]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "",
        "[::2]",
        "localhost.evil",
        "evil.example@127.0.0.1",
    ],
)
def test_a_host_that_is_not_allowed_is_refused_whatever_it_carries(
    host: str, server: DashboardServer
) -> None:
    for method, path in ROUTES:
        status, _, found = ask(
            server, method, path, BEARER | {"Host": f"{host}:{server.port}" if host else ""}
        )
        assert status == 403
        assert b"km:US500" not in found


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_the_names_of_this_machine_are_allowed(host: str, server: DashboardServer) -> None:
    assert ask(server, "GET", "/", BEARER | {"Host": f"{host}:{server.port}"})[0] == 200


def test_host_names_are_read_without_their_ports() -> None:
    assert [host_name(text) for text in ("A.b:80", "[::1]:80", "[::1]", " x ", ":80", "")] == [
        "a.b",
        "::1",
        "::1",
        "x",
        "",
        "",
    ]


def test_nothing_but_reading_is_answered(server: DashboardServer) -> None:
    for method, path, status in (
        ("POST", "/", 405),
        ("PUT", "/", 405),
        ("DELETE", "/assets/dashboard.css", 405),
        ("GET", CALLBACK, 405),
        ("OPTIONS", CALLBACK, 405),
        ("GET", "/_reload-hash", 404),
        ("GET", "/journal.sqlite", 404),
        ("GET", "/assets/../dashboard_gate.py", 404),
        ("GET", "/assets/%2e%2e/dashboard_gate.py", 404),
        ("GET", "/static/x", 404),
    ):
        assert ask(server, method, path, BEARER)[0] == status, (method, path)
    other = BEARER | {"Origin": "https://evil.example", "Content-Type": "application/json"}
    assert ask(server, "POST", CALLBACK, other, callback_body(server))[0] == 403
    assert ask(server, "POST", CALLBACK, BEARER, "x" * 70_000)[0] == 413
    assert ask(server, "POST", CALLBACK, BEARER | {"Transfer-Encoding": "chunked"})[0] == 413
    assert ask(server, "POST", CALLBACK, BEARER | {"Content-Type": "application/json"}, "not JSON")[0] >= 400


def test_a_link_lets_in_once_by_a_cookie_that_no_script_reads(
    server: DashboardServer, links: list[str]
) -> None:
    path = "/enter/" + links[-1].rpartition("/")[2]
    assert ask(server, "GET", path, {"Host": "evil.example"})[0] == 403
    assert ask(server, "HEAD", path)[0] == 401
    before = len(links)
    status, headers, _ = ask(server, "GET", path)
    assert status == 200
    assert headers["set-cookie"] == f"{COOKIE}={TOKEN}; HttpOnly; SameSite=Strict; Path=/"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert ask(server, "GET", path)[0] == 401
    assert ask(server, "GET", "/enter/")[0] == 401
    assert ask(server, "GET", "/enter/x")[0] == 401
    # the next one is told, and is another
    assert len(links) == before + 1
    assert TOKEN not in links[-1]
    assert links[-1] != links[-2]


def test_a_link_ends_after_ten_minutes() -> None:
    now = [0.0]
    tickets = Tickets(lambda: now[0])
    old = tickets.new()
    now[0] = TICKET_S - 1
    young = tickets.new()
    now[0] = TICKET_S + 1
    assert not tickets.take(old)
    assert not tickets.take("é")
    assert tickets.take(young)
    assert not tickets.take(young)


def test_a_token_of_few_characters_is_refused(scene: Any) -> None:
    with pytest.raises(MonitorError, match="at least 32"):
        DashboardServer(JournalView(scene.folder), ServerSettings(token="short"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_beyond_this_machine_only_with_tls_or_a_stated_proxy(host: str) -> None:
    with pytest.raises(MonitorError, match=r"--tls-cert and --tls-key.*--behind-proxy"):
        check(ServerSettings(host=host))
    check(ServerSettings(host=host, behind_proxy=True))
    check(ServerSettings(host=host, certificate=Path("c.pem"), key=Path("k.pem")))
    with pytest.raises(MonitorError, match="both files"):
        check(ServerSettings(host="127.0.0.1", certificate=Path("c.pem")))


def test_loopback_names_need_neither() -> None:
    for host in ("127.0.0.1", "localhost", "127.8.8.8"):
        check(ServerSettings(host=host))
    with pytest.raises(MonitorError, match="no address"):
        check(ServerSettings(host="no-such-host.invalid"))


@pytest.mark.parametrize("port", [-1, 65_536, 99_999])
def test_a_port_that_is_none_is_refused_and_not_taken_for_another(port: int) -> None:
    with pytest.raises(MonitorError, match="0 to 65535"):
        check(ServerSettings(port=port))


def test_a_taken_port_is_said_in_a_sentence(scene: Any, server: DashboardServer) -> None:
    with pytest.raises(MonitorError, match="cannot listen there"):
        DashboardServer(JournalView(scene.folder), ServerSettings(port=server.port))


def certificate(folder: Path) -> tuple[Path, Path]:
    x509 = pytest.importorskip("cryptography.x509", reason="makes the certificate")
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


def test_with_tls_the_cookie_is_for_tls_alone_and_a_silent_visitor_holds_up_nobody(
    scene: Any, tmp_path: Path
) -> None:
    cert, key = certificate(tmp_path)
    links: list[str] = []
    with served(scene, links, certificate=cert, key=key) as server:
        assert links[0].startswith("https://127.0.0.1:")
        # says nothing, where a handshake is awaited
        with socket.create_connection(("127.0.0.1", server.port)):
            trusted = ssl.create_default_context(cafile=str(cert))
            connection = http.client.HTTPSConnection("localhost", server.port, timeout=15, context=trusted)
            connection.request("GET", "/enter/" + links[0].rpartition("/")[2])
            answer = connection.getresponse()
            assert answer.status == 200
            assert "; Secure" in (answer.getheader("Set-Cookie") or "")
            answer.read()
            connection.close()
    with pytest.raises(MonitorError, match="TLS files"):
        DashboardServer(JournalView(scene.folder), ServerSettings(certificate=cert, key=cert))


def test_visitors_who_say_nothing_are_sent_away_when_there_are_too_many(
    scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard_server, "MOST_THREADS", 3)
    monkeypatch.setattr(dashboard_server, "REQUEST_S", 2.0)
    with served(scene) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
        try:
            # no place is left for the fourth
            silent[3].settimeout(20)
            assert silent[3].recv(1) == b""
            deadline = time.monotonic() + 30
            while True:
                try:
                    assert ask(server, "GET", "/", BEARER)[0] == 200
                    break
                except (ConnectionError, http.client.HTTPException):
                    # full; those who say nothing lose their place after two seconds
                    assert time.monotonic() < deadline
        finally:
            for peer in silent:
                peer.close()


def test_only_what_a_page_needs_is_kept_of_the_environment() -> None:
    secret = {
        "AMM500_HYPERLIQUID_KEY": "0xkey",
        "AMM500_ALERT_URLS": "mailto://user:password@example",
        "AWS_SECRET_ACCESS_KEY": "s",
        "REDIS_PASSWORD": "p",
        "ANYTHING": "else",
    }
    kept = {"PATH": "/usr/bin", "HOME": "here", "LC_ALL": "C", "TZ": "UTC"}
    assert clean_environment(secret | kept) == kept
