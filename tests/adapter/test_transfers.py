"""Which of the venue's ledger rows move the pot that is reported: by its token, and by who sent what to whom."""

from decimal import Decimal

import pytest

from hyperliquid_hip3.account_parsing import parse_ledger_message
from hyperliquid_hip3.transfers import transfer_amount


USER, OTHER = "0x" + "5e" * 20, "0x" + "6f" * 20
NO_CHANGE = Decimal(0)


def moved(delta, *, dex="km", is_unified=True, collateral="USDH"):
    row = {"time": 1_754_467_216_357, "hash": "0x1", "delta": delta}
    (update,) = parse_ledger_message({"user": USER, "nonFundingLedgerUpdates": [row]}).updates
    return transfer_amount(update, USER, dex, is_unified=is_unified, collateral=collateral)


def sent(token, amount, *, source="spot", target="spot", user=USER, to=OTHER):
    return {
        "type": "send", "user": user, "destination": to, "sourceDex": source, "destinationDex": target,
        "token": token, "amount": amount, "fee": "0.0",
    }  # fmt: skip


def by_spot(token, amount, *, user=USER, to=OTHER):
    return {
        "type": "spotTransfer",
        "token": token,
        "amount": amount,
        "user": user,
        "destination": to,
        "fee": "0.0",
    }


@pytest.mark.parametrize(
    ("delta", "collateral", "expected"),
    [
        pytest.param({"type": "deposit", "usdc": "500.0"}, "USDH", "0", id="a deposit of another token"),
        pytest.param({"type": "deposit", "usdc": "500.0"}, "USDC", "500", id="a deposit"),
        pytest.param({"type": "withdraw", "usdc": "50.0", "fee": "1.0"}, "USDC", "-50", id="a withdrawal"),
        pytest.param(sent("HYPE", "100.0"), "USDH", "0", id="another token sent away"),
        pytest.param(sent("USDH", "100.0"), "USDH", "-100", id="sent away"),
        pytest.param(sent("USDH", "100.0", user=OTHER, to=USER), "USDH", "100", id="received"),
        pytest.param(sent("USDH", "100.0", to=USER, target="km"), "USDH", "0", id="from one dex to another"),
        pytest.param(by_spot("USDH", "200.0"), "USDH", "-200", id="a spot transfer away"),
        pytest.param(by_spot("USDH", "200.0", user=OTHER, to=USER), "USDH", "200", id="a spot transfer here"),
        pytest.param(by_spot("PURR", "200.0"), "USDH", "0", id="a spot transfer of another token"),
        pytest.param(
            {"type": "internalTransfer", "usdc": "30.0", "user": USER, "destination": OTHER, "fee": "1.0"},
            "USDC",
            "-30",
            id="to another user",
        ),
        pytest.param(
            {"type": "accountClassTransfer", "usdc": "30.0", "toPerp": True},
            "USDC",
            "0",
            id="from spot to perp",
        ),
        pytest.param({"type": "rewardsClaim", "amount": "3.0"}, "USDC", "0", id="of no token that is named"),
    ],
)
def test_one_pot_of_a_token_is_moved_by_that_token_alone(delta, collateral, expected):
    assert moved(delta, collateral=collateral) == Decimal(expected)


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        pytest.param(sent("USDH", "100.0", to=USER, target="km"), "100", id="from spot"),
        pytest.param(sent("USDH", "100.0", to=USER, source="km"), "-100", id="back to spot"),
        pytest.param(sent("USDH", "100.0"), "0", id="from spot to somebody else"),
        pytest.param({"type": "deposit", "usdc": "500.0"}, "0", id="a deposit goes elsewhere"),
    ],
)
def test_a_dex_s_own_pot_is_moved_by_what_enters_or_leaves_the_dex(delta, expected):
    assert moved(delta, is_unified=False) == Decimal(expected)
