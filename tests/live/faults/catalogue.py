"""The scenarios: a name, the seeds it is played with, and what strikes."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from tests.live.faults.strikes import Strike
from tests.live.faults.strikes import agent_expired
from tests.live.faults.strikes import clock_off
from tests.live.faults.strikes import collateral_moved
from tests.live.faults.strikes import cut
from tests.live.faults.strikes import damaged_files
from tests.live.faults.strikes import deleveraged
from tests.live.faults.strikes import delisted
from tests.live.faults.strikes import disk_full
from tests.live.faults.strikes import expired_action
from tests.live.faults.strikes import halted
from tests.live.faults.strikes import knob
from tests.live.faults.strikes import liquidation
from tests.live.faults.strikes import lost_fills_file
from tests.live.faults.strikes import manual_fill
from tests.live.faults.strikes import manual_order
from tests.live.faults.strikes import meta_drift
from tests.live.faults.strikes import mode_switched
from tests.live.faults.strikes import oi_cap
from tests.live.faults.strikes import on_action
from tests.live.faults.strikes import on_frame
from tests.live.faults.strikes import outage
from tests.live.faults.strikes import own_orders_crossed
from tests.live.faults.strikes import races
from tests.live.faults.strikes import venue_shut


FOREVER = -1
ACTIONS = ("order", "batchModify", "cancelByCloid")


class Way(StrEnum):
    """How a scenario is played."""

    ENGINE = "engine"
    NODE = "node"
    RESTART = "restart"
    KILL = "kill"


type Plan = Callable[[random.Random], list[Strike]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A family of scenarios: one for each seed."""

    name: str
    plan: Plan
    seeds: int = 4
    way: Way = Way.ENGINE
    # changed settings of the venue, the execution client and the data client
    venue: dict[str, Any] = field(default_factory=dict)
    client: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


def _action(name: str, words: str, kind: str) -> Plan:
    return lambda rng: [on_action(name, kind, words, rng)]


def _frame(name: str, words: str, channel: str) -> Plan:
    return lambda rng: [on_frame(name, channel, words, rng)]


def _often(
    name: str, label: str, rate: float, *, only: str = "", wants: str = "", value: float = 0.0
) -> Plan:
    return lambda rng: [
        knob(
            name,
            label,
            times=FOREVER,
            rate=rate,
            only=only,
            wants=wants,
            value=value,
            least=2,
            lasts=rng.randint(6, 12),
        )
    ]


def _storm(rng: random.Random) -> list[Strike]:
    return [PARTS[name](rng) for name in rng.sample(sorted(PARTS), 3)]


PARTS: dict[str, Callable[[random.Random], Strike]] = {
    "ack": lambda rng: on_action("lost_ack", rng.choice(ACTIONS), "no answer to {}", rng),
    "before": lambda rng: on_action("drop", rng.choice(ACTIONS), "connection dropped before {} arrived", rng),
    "frame": lambda rng: on_frame("ws_drop", "orderUpdates", "frame lost", rng),
    "fills": lambda rng: on_frame("ws_close", "userFills", "socket dropped", rng),
    "twice": lambda rng: knob(
        "ws_duplicate", "frames twice", times=FOREVER, rate=0.5, least=2, wants="alo", lasts=8
    ),
    "late": lambda rng: knob(
        "ws_late", "frames late", times=FOREVER, rate=0.3, least=2, wants="alo", lasts=8
    ),
    "outage": outage,
    "slow": lambda rng: knob(
        "delay_reply",
        "slow answers",
        only="exchange",
        times=FOREVER,
        rate=0.5,
        value=400,
        wants="order",
        lasts=8,
    ),
    "cut": cut,
}


def _both(first: Plan, second: Plan) -> Plan:
    return lambda rng: first(rng) + second(rng)


FAMILIES: tuple[Scenario, ...] = (
    # every point of an order's life
    *(
        Scenario(f"{word}_{what}", _action(name, words, kind))
        for kind, what in (("order", "place"), ("batchModify", "modify"), ("cancelByCloid", "cancel"))
        for name, word, words in (
            ("drop", "drop_before", "connection dropped before {} arrived"),
            ("drop_after", "drop_after", "connection dropped after {} was taken"),
            ("lost_ack", "lost_ack", "no answer to {}"),
        )
    ),
    Scenario("drop_before_first_update", _frame("ws_close", "socket dropped", "orderUpdates")),
    Scenario("drop_while_filling", _frame("ws_close", "socket dropped", "userFills")),
    Scenario(
        "drop_everything_while_modifying",
        _both(
            _action("drop_after", "connection dropped after {} was taken", "batchModify"),
            _frame("ws_close", "socket dropped", "orderUpdates"),
        ),
    ),
    Scenario(
        "drop_everything_while_canceling",
        _both(
            _action("lost_ack", "no answer to {}", "cancelByCloid"),
            _frame("ws_close", "socket dropped", "userFills"),
        ),
    ),
    # frames
    Scenario("duplicated_frames", _often("ws_duplicate", "frames twice", 0.6, wants="alo")),
    Scenario("late_frames", _often("ws_late", "frames late", 0.4, wants="alo")),
    Scenario(
        "lost_order_updates",
        _often("ws_drop", "frames of orderUpdates lost", 0.5, only="orderUpdates", wants="alo"),
    ),
    Scenario(
        "lost_fills", _often("ws_drop", "frames of userFills lost", 0.7, only="userFills", wants="fill")
    ),
    Scenario("lost_frames", _often("ws_drop", "every frame lost for a while", 1.0, wants="fill")),
    Scenario("slow_frames", _often("ws_delay", "frames held up 60 ms", 0.5, value=60.0)),
    # connections
    Scenario("fills_while_disconnected", lambda rng: [outage(rng)]),
    Scenario("venue_refuses_connections", lambda rng: [venue_shut(rng)]),
    # answers
    Scenario("too_many_requests", _often("too_many", "429 to actions", 0.4, only="exchange", wants="order")),
    Scenario(
        "too_many_queries",
        _both(_often("too_many", "429 to queries", 0.6, only="info"), lambda rng: [cut(rng)]),
    ),
    Scenario("server_errors", _often("bad_gateway", "502 to actions", 0.4, only="exchange", wants="order")),
    Scenario("server_unavailable", _often("unavailable", "503 to anything", 0.3)),
    Scenario("null_answers", _often("null_500", "500 with null to queries", 0.6, only="info")),
    Scenario(
        "slow_answers",
        _often("delay_reply", "answers after 600 ms", 0.5, only="exchange", wants="order", value=600.0),
    ),
    Scenario(
        "slow_arrivals",
        _often("delay", "arrivals after 500 ms", 0.4, only="exchange", wants="order", value=500.0),
    ),
    Scenario(
        "answers_after_the_timeout",
        lambda rng: [
            on_action("delay_reply", rng.choice(ACTIONS), "{} answered after the timeout", rng, value=1_200)
        ],
    ),
    Scenario("bad_json", _often("bad_json", "answers that are no JSON", 0.4, wants="order")),
    Scenario("empty_answers", _often("empty_reply", "empty 200 answers", 0.4, wants="order")),
    # refusals
    Scenario(
        "nonce_collisions",
        lambda rng: [on_action("nonce_collision", rng.choice(ACTIONS), "nonce collision of {}", rng)],
    ),
    Scenario(
        "post_only_phase",
        lambda rng: [knob("post_only_phase", "post-only phase after an upgrade", wants="ioc", times=2)],
    ),
    Scenario("agent_expired", lambda rng: [agent_expired(rng)]),
    Scenario("actions_expired", lambda rng: [expired_action(rng)]),
    # an expiry shorter than the offset would make every action late
    Scenario("clock_off", lambda rng: [clock_off(rng)], client={"expires_after_ms": 15_000}),
    # account and market
    Scenario("account_mode_switched", lambda rng: [mode_switched(rng)]),
    Scenario("halted", lambda rng: [halted(rng)]),
    Scenario("open_interest_cap", lambda rng: [oi_cap(rng)]),
    Scenario("foreign_orders", lambda rng: [manual_order(rng)]),
    Scenario("foreign_fills", lambda rng: [manual_fill(rng)]),
    Scenario("delisted", lambda rng: [delisted(rng)]),
    Scenario(
        "liquidated", lambda rng: [liquidation(rng)], venue={"equity": Decimal(100)}, client={"leverage": 20}
    ),
    Scenario("deleveraged", lambda rng: [deleveraged(rng)]),
    Scenario("collateral_moved", lambda rng: [collateral_moved(rng)]),
    Scenario("own_orders_crossed", lambda rng: [own_orders_crossed(rng)]),
    # this machine
    Scenario("disk_full", lambda rng: [disk_full(rng)]),
    Scenario("fills_race_commands", lambda rng: [races(rng)], 6),
    Scenario("storm", _storm, seeds=10),
    # a whole node
    Scenario(
        "node_lost_ack",
        lambda rng: [on_action("lost_ack", rng.choice(ACTIONS), "no answer to {}", rng)],
        5,
        Way.NODE,
    ),
    Scenario(
        "node_drop_after",
        lambda rng: [
            on_action("drop_after", rng.choice(ACTIONS), "connection dropped after {} was taken", rng)
        ],
        5,
        Way.NODE,
    ),
    Scenario("node_drop_while_filling", _frame("ws_close", "socket dropped", "userFills"), 5, Way.NODE),
    Scenario(
        "node_drop_before_first_update", _frame("ws_close", "socket dropped", "orderUpdates"), 5, Way.NODE
    ),
    Scenario("node_fills_while_disconnected", lambda rng: [outage(rng)], 5, Way.NODE),
    Scenario(
        "node_frames_twice_and_late", lambda rng: [PARTS["twice"](rng), PARTS["late"](rng)], 5, Way.NODE
    ),
    Scenario("node_server_unavailable", _often("unavailable", "503 to anything", 0.2), 4, Way.NODE),
    Scenario("node_agent_expired", lambda rng: [agent_expired(rng)], 4, Way.NODE),
    Scenario("node_deleveraged", lambda rng: [deleveraged(rng)], 4, Way.NODE),
    Scenario("node_own_orders_crossed", lambda rng: [own_orders_crossed(rng)], 4, Way.NODE),
    Scenario("node_disk_full", lambda rng: [disk_full(rng)], 3, Way.NODE),
    Scenario("node_halted", lambda rng: [halted(rng)], 4, Way.NODE),
    Scenario("node_foreign_fills", lambda rng: [manual_fill(rng)], 4, Way.NODE),
    Scenario("node_meta_drift", lambda rng: [meta_drift(rng)], 5, Way.NODE, data={"meta_check_secs": 0.5}),
    Scenario("node_storm", _storm, 6, Way.NODE),
    # the process ends
    Scenario("node_restarted", lambda rng: [], 5, Way.RESTART),
    Scenario("restarted_with_damaged_files", lambda rng: [damaged_files(rng)], 5, Way.RESTART),
    Scenario("restarted_without_seen_fills", lambda rng: [lost_fills_file(rng)], 2, Way.RESTART),
    Scenario("killed", lambda rng: [], 5, Way.KILL),
    Scenario(
        "killed_without_answers",
        _often("delay_reply", "answers after 600 ms", 0.7, only="exchange", value=600.0),
        4,
        Way.KILL,
    ),
)


def planned(scenario: Scenario, rng: random.Random) -> list[Strike]:
    """What strikes with these numbers."""
    return scenario.plan(rng)


def find(name: str) -> Scenario:
    """Return the family of a name; KeyError when there is none."""
    return {each.name: each for each in FAMILIES}[name]
