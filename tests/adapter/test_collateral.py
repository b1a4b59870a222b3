"""What a unit of the collateral token is worth."""

import asyncio
from decimal import Decimal

import pytest

from hyperliquid_hip3.collateral import CollateralPrice
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.parsing import parse_spot_pairs
from hyperliquid_hip3.records import SpotPair


USDH = 360
PAIRS = (SpotPair("@150", (235, 0)), SpotPair("@230", (USDH, 0)), SpotPair("@231", (USDH, 235)))


class Spot:
    """A venue with spot prices, and how often it was asked for what."""

    def __init__(self, **mids):
        self.mids = {f"@{name[1:]}": Decimal(price) for name, price in mids.items()}
        self.pairs = PAIRS
        self.asked = []
        self.is_down = False

    async def spot_pairs(self):
        self.asked.append("spotMeta")
        if self.is_down:
            raise TransportError("no answer")
        return self.pairs

    async def all_mids(self, dex):
        assert dex == ""
        self.asked.append("allMids")
        if self.is_down:
            raise TransportError("no answer")
        return self.mids


class Scene:
    def __init__(self, spot, token=USDH, name="USDH"):
        self.now = 100.0
        self.notices = []
        self.price = CollateralPrice(
            spot,
            token,
            name,
            notify=lambda kind, text: self.notices.append((kind, text)),
            monotonic=lambda: self.now,
        )

    def read(self):
        return asyncio.run(self.price.refresh())


def test_the_price_is_the_mid_of_the_pair_with_usdc():
    spot = Spot(p230="0.9987", p231="1.5", p150="1.001")

    assert Scene(spot).read() == Decimal("0.9987")
    assert spot.asked == ["spotMeta", "allMids"]


def test_it_is_read_once_a_minute_at_most_and_the_pair_only_once():
    spot = Spot(p230="0.9987")
    scene = Scene(spot)
    scene.read()
    spot.mids["@230"] = Decimal("0.97")

    scene.now += 59
    assert scene.read() == Decimal("0.9987")
    scene.now += 1
    assert scene.read() == Decimal("0.97")
    assert spot.asked == ["spotMeta", "allMids", "allMids"]


def test_usdc_is_worth_one_and_never_asked_for():
    spot = Spot()
    scene = Scene(spot, token=0, name="USDC")

    assert scene.read() == 1
    assert spot.asked == []
    assert scene.notices == []


@pytest.mark.parametrize("how", ["no pair", "no mid", "down"])
def test_a_price_that_was_never_there_is_unknown_and_told_once(how):
    spot = Spot()
    spot.is_down = how == "down"
    if how == "no pair":
        spot.pairs = PAIRS[:1]
    scene = Scene(spot)

    for _ in range(3):
        assert scene.read() is None
        scene.now += 61

    ((kind, text),) = scene.notices
    assert kind is NoticeKind.COLLATERAL
    assert "USDH" in text
    assert "unknown" in text


def test_the_last_price_is_kept_while_there_is_none_and_told_again_only_after_it_was_back():
    spot = Spot(p230="0.99")
    scene = Scene(spot)
    scene.read()
    for _ in range(2):
        scene.now += 61
        mid = spot.mids.pop("@230")
        assert scene.read() == Decimal("0.99")
        scene.now += 61
        assert scene.read() == Decimal("0.99")
        spot.mids["@230"] = mid
        scene.now += 61
        assert scene.read() == Decimal("0.99")

    assert [kind for kind, _ in scene.notices] == [NoticeKind.COLLATERAL] * 2
    assert "0.99, is kept" in scene.notices[0][1]


def test_a_price_of_zero_is_no_price():
    assert Scene(Spot(p230="0")).read() is None


def test_pairs_are_read_from_spot_meta():
    rows = [
        {"name": "PURR/USDC", "tokens": [1, 0], "index": 0, "isCanonical": True},
        {"name": "@230", "tokens": [360, 0], "index": 230, "isCanonical": False},
    ]
    assert parse_spot_pairs({"tokens": [], "universe": rows}) == (
        SpotPair("PURR/USDC", (1, 0)),
        SpotPair("@230", (360, 0)),
    )


@pytest.mark.parametrize(
    "row",
    [
        {"name": "@230"},
        {"name": "@230", "tokens": [360]},
        {"name": "@230", "tokens": ["360", 0]},
        {"tokens": [1, 0]},
    ],
)
def test_a_pair_that_is_malformed_is_an_error(row):
    with pytest.raises(PayloadError, match="spotMeta"):
        parse_spot_pairs({"tokens": [], "universe": [row]})
