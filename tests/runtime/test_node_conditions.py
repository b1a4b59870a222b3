"""What the venue's side says of its connections, as the risk engine is told of it."""

from pathlib import Path

import pytest

from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.node.monitoring import NodeMonitor
from hyperliquid_hip3.notices import Notice
from hyperliquid_hip3.notices import NoticeKind


PAPER = Path(__file__).resolve().parents[2] / "configs" / "paper.yaml"


@pytest.fixture
def node(tmp_path: Path) -> NodeMonitor:
    return NodeMonitor(load_config(PAPER), tmp_path, coin="km:US500", environ={})


def say(node: NodeMonitor, kind: NoticeKind, text: str = "as it says") -> bool:
    """Tell a notice, and return whether the network counts as down then."""
    node._on_notice(Notice(kind, text, 0))
    return node._conditions().network_down


def test_a_stream_that_is_down_is_so_until_it_says_that_it_is_back(node: NodeMonitor) -> None:
    assert say(node, NoticeKind.STREAM_DOWN)
    assert not say(node, NoticeKind.STREAM_UP)


def test_what_was_asked_for_before_the_stream_went_down_again_does_not_bring_it_back(
    node: NodeMonitor,
) -> None:
    say(node, NoticeKind.STREAM_DOWN)
    # everything is asked for anew from here on
    assert not say(node, NoticeKind.STREAM_UP)
    assert say(node, NoticeKind.STREAM_DOWN)
    # the answers have come, and no fill is heard yet
    assert say(node, NoticeKind.RECONCILED)
    assert not say(node, NoticeKind.STREAM_UP)


def test_a_frame_that_could_not_be_read_counts_until_everything_was_asked_for(node: NodeMonitor) -> None:
    assert say(node, NoticeKind.STREAM_DOWN, "a frame could not be read: user: not a list")
    assert not say(node, NoticeKind.RECONCILED)


class Files:
    """What a recorder says of its files."""

    trouble = ""


def test_files_that_cannot_be_written_are_told_once_and_so_is_their_return(
    node: NodeMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[str, str]] = []
    alerts: list[tuple[str, str]] = []
    monkeypatch.setattr(node.monitor, "tick", lambda: None)
    monkeypatch.setattr(node.monitor, "event", lambda kind, text: events.append((kind, text)))
    monkeypatch.setattr(node.monitor, "alert", lambda kind, _, text: alerts.append((kind, text)))
    files = Files()
    node._recorder = files  # type: ignore[assignment]
    for trouble in ("", "fills.csv: No space left on device", "fills.csv: No space left on device", "", ""):
        files.trouble = trouble
        node.tick()
    assert events == [
        ("files", "fills.csv: No space left on device"),
        ("files", "the run directory is written again"),
    ]
    assert alerts == [
        ("files", "fills.csv: No space left on device; rows wait in memory, the journal has them as well")
    ]
