"""Alerts reach a person once, through real servers; what they are sent with reaches nobody."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from amm500_nautilus.monitor.alerts import VARIABLE
from amm500_nautilus.monitor.alerts import Alert
from amm500_nautilus.monitor.alerts import Alerter
from amm500_nautilus.monitor.alerts import AppriseChannel
from amm500_nautilus.monitor.alerts import channels_from
from amm500_nautilus.monitor.errors import MonitorError
from tests.monitor.receivers import MailServer
from tests.monitor.receivers import Webhook


SECOND = 1_000_000_000
MINUTE = 60 * SECOND


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come"
        time.sleep(0.005)


class Spoken:
    """A channel that keeps what it is given; ``moods`` says of each try whether it is taken."""

    def __init__(self, name: str = "spoken", moods: list[Any] | None = None) -> None:
        self.name = name
        self.moods = moods or []
        self.heard: list[tuple[str, str]] = []

    def send(self, title: str, body: str) -> bool:
        mood = self.moods.pop(0) if self.moods else True
        if isinstance(mood, Exception):
            raise mood
        if mood:
            self.heard.append((title, body))
        return bool(mood)


class Watch:
    """An alerter with the record of its outcomes."""

    def __init__(self, *channels: Any) -> None:
        self.outcomes: list[tuple[str, str]] = []
        self.alerter = Alerter(channels, self.record, retry_secs=0.01)
        self.alerter.start()

    def record(self, alert: Alert, outcome: str) -> None:
        self.outcomes.append((alert.kind, outcome))

    def tell(self, kind: str, ts_ns: int) -> None:
        count = len(self.outcomes)
        self.alerter.tell(Alert(ts_ns, kind, f"{kind} title", f"{kind} body"))
        wait_for(lambda: len(self.outcomes) > count)


def test_a_kind_is_told_once_in_half_an_hour_and_the_next_says_how_many_were_held() -> None:
    channel = Spoken()
    watch = Watch(channel)
    for minute in (0, 1, 29):
        watch.tell("drawdown", minute * MINUTE)
    watch.tell("margin_ratio", 2 * MINUTE)
    watch.tell("drawdown", 30 * MINUTE)
    watch.alerter.close()
    assert watch.outcomes == [
        ("drawdown", "sent"),
        ("drawdown", "cooldown"),
        ("drawdown", "cooldown"),
        ("margin_ratio", "sent"),
        ("drawdown", "sent"),
    ]
    assert [body for _, body in channel.heard] == [
        "drawdown body",
        "margin_ratio body",
        "drawdown body\n2 more of this kind since the last alert.",
    ]


def test_a_channel_that_fails_is_tried_again_and_keeps_no_other_from_its_alert() -> None:
    lame = Spoken("lame", [False, OSError("no route"), True])
    sound = Spoken("sound")
    watch = Watch(lame, sound)
    watch.tell("drawdown", 0)
    assert watch.outcomes == [("drawdown", "sent")]
    assert len(lame.heard) == len(sound.heard) == 1
    watch.alerter.close()


def test_an_alert_that_nobody_took_is_said_and_the_next_does_not_wait() -> None:
    dead = Spoken("dead", [False] * 3)
    watch = Watch(dead)
    watch.tell("drawdown", 0)
    watch.tell("drawdown", SECOND)
    assert watch.outcomes == [("drawdown", "failed: dead"), ("drawdown", "sent")]
    watch.alerter.close()


def test_without_a_channel_every_alert_is_still_recorded() -> None:
    watch = Watch()
    watch.tell("drawdown", 0)
    assert watch.outcomes == [("drawdown", "no channel")]
    watch.alerter.close()


def test_telling_does_not_wait_for_a_channel_that_hangs() -> None:
    gate = threading.Event()

    class Stuck(Spoken):
        def send(self, title: str, body: str) -> bool:
            gate.wait(20)
            return super().send(title, body)

    watch = Watch(Stuck())
    began = time.perf_counter()
    for number in range(150):
        watch.alerter.tell(Alert(0, f"kind {number}", "", ""))
    assert time.perf_counter() - began < 2.0
    # what finds no room is said, not lost in silence
    assert sum(outcome == "failed" for _, outcome in watch.outcomes) >= 49
    gate.set()
    watch.alerter.close()


def test_an_alert_arrives_by_mail_and_at_a_webhook() -> None:
    with MailServer() as mail, Webhook() as hook:
        environ = {
            VARIABLE: f"mailto://127.0.0.1:{mail.port}?from=node@example.org&to=desk@example.org\n"
            f"json://127.0.0.1:{hook.port}/alerts",
            "HOME": "kept",
        }
        channels = channels_from(environ)
        assert environ == {"HOME": "kept"}
        watch = Watch(*channels)
        assert watch.alerter.channel_names == ("E-Mail", "JSON")
        watch.tell("drawdown", 0)
        watch.alerter.close()
        assert watch.outcomes == [("drawdown", "sent")]
        (letter,) = mail.mails
        assert letter["Subject"] == "drawdown title"
        assert letter["To"] == "desk@example.org"
        parts = [part.get_payload(decode=True) for part in letter.walk() if not part.is_multipart()]
        assert any(b"drawdown body" in part for part in parts if isinstance(part, bytes))
        (post,) = hook.posts
        assert (post["title"], post["message"]) == ("drawdown title", "drawdown body")


def test_a_webhook_that_refuses_at_first_gets_its_alert_once() -> None:
    with Webhook(refuse=2) as hook:
        watch = Watch(AppriseChannel(f"json://127.0.0.1:{hook.port}/"))
        watch.tell("drawdown", 0)
        watch.alerter.close()
        assert watch.outcomes == [("drawdown", "sent")]
        assert (hook.refused, len(hook.posts)) == (2, 1)


def test_the_environment_is_the_only_place_of_an_address_and_no_word_repeats_it(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "s3cretT0ken"
    with pytest.raises(MonitorError) as caught:
        channels_from({VARIABLE: f"nonsense://{secret}@example.org"})
    assert secret not in str(caught.value)
    with Webhook(refuse=99) as hook:
        channel = AppriseChannel(f"json://desk:{secret}@127.0.0.1:{hook.port}/{secret}")
        watch = Watch(channel)
        watch.tell("drawdown", 0)
        watch.alerter.close()
    assert watch.outcomes == [("drawdown", "failed: JSON")]
    assert secret not in repr(channel)
    assert secret not in caplog.text
    assert secret not in repr(watch.outcomes)
