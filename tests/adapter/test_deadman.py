"""When the dead-man's switch is set, and when it is not there."""

from decimal import Decimal

import pytest

from hyperliquid_hip3.deadman import Deadman
from hyperliquid_hip3.deadman import DeadmanState


S = 1_000_000_000


def qualified():
    switch = Deadman(60)
    assert switch.qualify(Decimal(1_000_000))
    return switch


def test_a_qualified_account_arms_at_once_and_again_after_half_the_time():
    switch = qualified()

    assert switch.is_due(0)
    switch.armed(switch.target_ms(1_000_000), 0)

    assert switch.state is DeadmanState.ARMED
    assert switch.target_ms(1_000_000) == 1_060_000
    assert not switch.is_due(29 * S)
    assert switch.is_due(30 * S)


def test_an_account_without_the_volume_has_no_switch():
    switch = Deadman(60)

    assert not switch.qualify(Decimal("999999.99"))
    assert switch.state is DeadmanState.UNQUALIFIED
    assert not switch.is_due(10**18)


def test_an_account_that_comes_to_the_volume_has_one():
    switch = Deadman(60)
    switch.qualify(Decimal(0))

    assert switch.qualify(Decimal(2_000_000))
    assert switch.is_due(0)


def test_a_refusal_for_want_of_volume_ends_it_and_any_other_is_tried_again():
    switch, other = qualified(), qualified()

    switch.failed(0, is_unqualified=True)
    other.failed(0, is_unqualified=False)

    assert switch.state is DeadmanState.UNQUALIFIED
    assert not other.is_due(4 * S)
    assert other.is_due(5 * S)


def test_a_switch_that_could_not_be_set_anew_is_late_and_may_fire():
    switch = qualified()
    switch.armed(60_000, 0)

    switch.failed(30 * S, is_unqualified=False)

    assert switch.state is DeadmanState.LATE
    assert not switch.has_fired(59_999)
    assert switch.has_fired(60_000)


def test_a_cleared_switch_does_not_fire():
    switch = qualified()
    switch.armed(60_000, 0)
    switch.disarmed()

    assert not switch.is_armed
    assert not switch.has_fired(10**15)


def test_zero_turns_it_off():
    switch = Deadman(0)

    assert not switch.qualify(Decimal(10**9))
    assert switch.state is DeadmanState.OFF
    assert not switch.is_due(0)


def test_a_time_that_the_venue_would_refuse_is_refused_here():
    with pytest.raises(ValueError, match="at least 10"):
        Deadman(9)
