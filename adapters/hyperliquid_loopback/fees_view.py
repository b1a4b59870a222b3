"""Traded volume by day, the rates that follow from it, and the reply to ``userFees``."""

import datetime as dt
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from typing import Final

from amm500_nautilus.margin.fees import BASE_MAKER_RATE
from amm500_nautilus.margin.fees import BASE_TAKER_RATE
from amm500_nautilus.margin.fees import REBATE_TIERS
from amm500_nautilus.margin.fees import REFERRAL_DISCOUNT
from amm500_nautilus.margin.fees import STAKING_TIERS
from amm500_nautilus.margin.fees import VOLUME_TIERS
from amm500_nautilus.margin.fees import FeeRates
from amm500_nautilus.margin.fees import account_rates
from amm500_nautilus.margin.fees import staking_discount
from hyperliquid_loopback.types import ZERO
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import number


DAY_MS: Final = 86_400_000
# tiers use the fourteen days before today, userFees shows today as well (venue docs, fees)
TIER_DAYS: Final = 14
# spot taker and maker rates of the tiers (venue docs, fees)
SPOT_TIERS: Final = (
    ("0.0007", "0.0004"),
    ("0.0006", "0.0003"),
    ("0.0005", "0.0002"),
    ("0.0004", "0.0001"),
    ("0.00035", "0.0"),
    ("0.0003", "0.0"),
    ("0.00025", "0.0"),
)
HYPE_SUPPLY: Final = Decimal(1_000_000_000)
BPS: Final = Decimal(10_000)


@dataclass(slots=True)
class DayVolume:
    """What was traded in one UTC day, in collateral units as the fee tiers count them."""

    cross: Decimal = ZERO
    add: Decimal = ZERO


@dataclass(slots=True)
class VolumeBook:
    """Volume by UTC day (days since 1970)."""

    days: dict[int, DayVolume] = field(default_factory=dict)
    # the last day that tiers were asked for, and their volume, which that day's fills do not change
    _tiers: tuple[int, Decimal] | None = None

    def add(self, ts_ms: int, value: Decimal, *, crossed: bool) -> None:
        """Count a fill."""
        number_of = ts_ms // DAY_MS
        day = self.days.setdefault(number_of, DayVolume())
        if self._tiers is not None and number_of < self._tiers[0]:
            self._tiers = None
        if crossed:
            day.cross += value
        else:
            day.add += value

    def of(self, day: int) -> DayVolume:
        """Return the volume of a day, nothing when there was none."""
        return self.days.get(day, DayVolume())

    def tier_volume(self, now_ms: int) -> Decimal:
        """Return the volume of the fourteen days before today."""
        today = now_ms // DAY_MS
        if self._tiers is None or self._tiers[0] != today:
            days = (self.of(day) for day in range(today - TIER_DAYS, today))
            self._tiers = (today, sum((day.cross + day.add for day in days), ZERO))
        return self._tiers[1]


def own_rates(
    volume: VolumeBook, now_ms: int, *, maker_share: Decimal = ZERO, staked_hype: Decimal = ZERO
) -> FeeRates:
    """Return an account's rates on the validators' dex (``userCrossRate`` and ``userAddRate``)."""
    return account_rates(
        volume_14d=volume.tier_volume(now_ms), maker_share=maker_share, staked_hype=staked_hype
    )


def fee_schedule() -> Json:
    """Return the venue's whole schedule, the ``feeSchedule`` of ``userFees``."""
    vip = [
        {
            "ntlCutoff": number(cutoff),
            "cross": plain(taker),
            "add": plain(maker),
            "spotCross": spot_taker,
            "spotAdd": spot_maker,
        }
        for (cutoff, taker, maker), (spot_taker, spot_maker) in zip(
            VOLUME_TIERS[1:], SPOT_TIERS[1:], strict=True
        )
    ]
    staking = [(ZERO, ZERO), *STAKING_TIERS]
    return {
        "cross": plain(BASE_TAKER_RATE),
        "add": plain(BASE_MAKER_RATE),
        "spotCross": SPOT_TIERS[0][0],
        "spotAdd": SPOT_TIERS[0][1],
        "tiers": {
            "vip": vip,
            "mm": [{"makerFractionCutoff": plain(share), "add": plain(rate)} for share, rate in REBATE_TIERS],
        },
        "referralDiscount": plain(REFERRAL_DISCOUNT),
        "stakingDiscountTiers": [_staking_row(hype, discount) for hype, discount in staking],
    }


def user_fees(
    volume: VolumeBook,
    exchange: VolumeBook,
    now_ms: int,
    *,
    maker_share: Decimal = ZERO,
    staked_hype: Decimal = ZERO,
    referral_discount: Decimal = ZERO,
) -> Json:
    """
    Return the reply to ``userFees`` (venue docs, info endpoint, "Query a user's fees").

    Parameters
    ----------
    volume, exchange : VolumeBook
        Of the user, and of everybody.
    now_ms : int
        Time in ms UTC.
    maker_share, staked_hype, referral_discount : Decimal
        As ``account_rates`` and ``FeeSchedule``.

    """
    today = now_ms // DAY_MS
    rates = own_rates(volume, now_ms, maker_share=maker_share, staked_hype=staked_hype)
    discount = staking_discount(staked_hype)
    spot_taker, spot_maker = (Decimal(rate) * (1 - discount) for rate in SPOT_TIERS[0])
    return {
        "dailyUserVlm": [
            {
                "date": day_text(day),
                "userCross": number(volume.of(day).cross),
                "userAdd": number(volume.of(day).add),
                "exchange": number(exchange.of(day).cross + exchange.of(day).add),
            }
            for day in range(today - TIER_DAYS, today + 1)
        ],
        "feeSchedule": fee_schedule(),
        "userCrossRate": plain(rates.taker),
        "userAddRate": plain(rates.maker),
        "userSpotCrossRate": plain(spot_taker),
        "userSpotAddRate": plain(spot_maker),
        "activeReferralDiscount": plain(referral_discount),
        "trial": None,
        "feeTrialReward": "0.0",
        "nextTrialAvailableTimestamp": None,
        "stakingLink": None,
        "activeStakingDiscount": _staking_row(staked_hype, discount),
    }


def plain(rate: Decimal) -> str:
    """Return a rate as the venue writes it: ``0.00045``, ``-0.00001``, ``0.0``."""
    return number(rate)


def day_text(day: int) -> str:
    """Return a day since 1970 as ``2025-05-23``."""
    return (dt.date(1970, 1, 1) + dt.timedelta(days=day)).isoformat()


def _staking_row(hype: Decimal, discount: Decimal) -> Json:
    return {"bpsOfMaxSupply": number(hype / HYPE_SUPPLY * BPS), "discount": number(discount)}
