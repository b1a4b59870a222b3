"""The HIP-3 fee schedule: the account's own rates, the market's formula, and who gets the fee of one fill."""

from dataclasses import dataclass
from decimal import Decimal

from amm500_nautilus.margin.rounding import MONEY_STEP
from amm500_nautilus.margin.rounding import cut


FEE_STEP = MONEY_STEP

BASE_MAKER_RATE = Decimal("0.00015")
BASE_TAKER_RATE = Decimal("0.00045")

# venue docs, fees: 14-day weighted volume above which a tier counts, its taker and maker rate
VOLUME_TIERS = (
    (Decimal(0), BASE_TAKER_RATE, BASE_MAKER_RATE),
    (Decimal(5_000_000), Decimal("0.0004"), Decimal("0.00012")),
    (Decimal(25_000_000), Decimal("0.00035"), Decimal("0.00008")),
    (Decimal(100_000_000), Decimal("0.0003"), Decimal("0.00004")),
    (Decimal(500_000_000), Decimal("0.00028"), Decimal(0)),
    (Decimal(2_000_000_000), Decimal("0.00026"), Decimal(0)),
    (Decimal(7_000_000_000), Decimal("0.00024"), Decimal(0)),
)
# share of the venue's maker volume above which a rebate counts, and the maker rate
REBATE_TIERS = (
    (Decimal("0.005"), Decimal("-0.00001")),
    (Decimal("0.015"), Decimal("-0.00002")),
    (Decimal("0.03"), Decimal("-0.00003")),
)
# HYPE staked above which a discount counts: Wood, Bronze, Silver, Gold, Platinum, Diamond
STAKING_TIERS = (
    (Decimal(10), Decimal("0.05")),
    (Decimal(100), Decimal("0.10")),
    (Decimal(1_000), Decimal("0.15")),
    (Decimal(10_000), Decimal("0.20")),
    (Decimal(100_000), Decimal("0.30")),
    (Decimal(500_000), Decimal("0.40")),
)
REFERRAL_DISCOUNT = Decimal("0.04")
REFERRAL_VOLUME = Decimal(25_000_000)
REFERRER_REWARD = Decimal("0.1")

_ALIGNED_TAKER = Decimal("0.8")
_ALIGNED_REBATE = Decimal("1.5")
_ALIGNED_VOLUME = Decimal("1.2")
_GROWTH_SCALE = Decimal("0.1")
# in growth mode; 3 outside it (protocol: HIP-3 identity, precision, fees)
_MAX_SCALE = Decimal(10)
_BUILDER_UNIT = Decimal("0.00001")
_RATE_SCALE = 10**12


@dataclass(frozen=True, slots=True)
class FeeRates:
    """
    What a fill pays, as fractions of its value; negative is a rebate.

    Parameters
    ----------
    maker : Decimal
        Rate of a resting order, for example ``0.00003`` (0.003 %).
    taker : Decimal
        Rate of a crossing order, for example ``0.00009`` (0.009 %).

    """

    maker: Decimal
    taker: Decimal

    def __post_init__(self) -> None:
        for name, rate in (("maker", self.maker), ("taker", self.taker)):
            if not rate.is_finite() or abs(rate) >= 1:
                msg = f"fee rate {name} is {rate}; allowed: a fraction between -1 and 1"
                raise ValueError(msg)

    def fee(self, value: Decimal, *, maker: bool) -> Decimal:
        """
        Return the fee of a fill of ``value`` collateral units, cut to six decimals toward zero.

        The venue cuts rather than rounds: its own example fill of 0.0353 at 25372.0 pays 0.026868, while
        0.003 % of 895.6316 is 0.026868948 (venue docs, ``userFills`` of ``xyz:XYZ100``).
        """
        return cut(value * (self.maker if maker else self.taker))

    def scaled(self, *, maker: bool) -> tuple[int, int]:
        """Return the rate as an exact fraction ``(numerator, denominator)`` of integers."""
        rate = self.maker if maker else self.taker
        numerator = rate * _RATE_SCALE
        if numerator != int(numerator):
            return rate.as_integer_ratio()
        return int(numerator), _RATE_SCALE


def account_rates(
    *,
    volume_14d: Decimal = Decimal(0),
    maker_share: Decimal = Decimal(0),
    staked_hype: Decimal = Decimal(0),
) -> FeeRates:
    """
    Return an account's rates on the validators' dex, before referral (``userAddRate`` and ``userCrossRate``).

    Parameters
    ----------
    volume_14d : Decimal
        Weighted volume of 14 days in USD: perps, twice spot, a tenth of growth-mode markets.
    maker_share : Decimal
        The account's share of the venue's 14-day maker volume; above 0.5 % the maker rate is a rebate, which no
        discount touches.
    staked_hype : Decimal
        HYPE staked by the account or linked to it.

    """
    taker, maker = next(
        (taker, maker) for least, taker, maker in reversed(VOLUME_TIERS) if volume_14d > least or least == 0
    )
    kept = 1 - staking_discount(staked_hype)
    rebate = next((rate for least, rate in reversed(REBATE_TIERS) if maker_share > least), None)
    return FeeRates(maker=maker * kept if rebate is None else rebate, taker=taker * kept)


def staking_discount(staked_hype: Decimal) -> Decimal:
    """Return the discount for staking ``staked_hype``, 0 up to 0.40 (venue docs, fees, staking tiers)."""
    return next((rate for least, rate in reversed(STAKING_TIERS) if staked_hype > least), Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeSchedule:
    """
    What decides an account's rates on a builder-deployed dex.

    Parameters
    ----------
    base_maker, base_taker : Decimal
        The account's rates on the validator dex (``userAddRate`` and ``userCrossRate`` of ``userFees``), staking
        discount included: see ``account_rates``.
    deployer_fee_scale : Decimal
        The deployer's ``deployerFeeScale``, 0 to 3 (0 to 10 in growth mode).
    growth_mode : bool
        Whether the market is in growth mode (rates a tenth).
    referral_discount : Decimal
        For example ``0.04``; taken off positive rates only, for the first 25M of volume.
    aligned : bool
        Whether the collateral is an aligned quote token.

    """

    base_maker: Decimal = BASE_MAKER_RATE
    base_taker: Decimal = BASE_TAKER_RATE
    deployer_fee_scale: Decimal = Decimal(1)
    growth_mode: bool = True
    referral_discount: Decimal = Decimal(0)
    aligned: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.deployer_fee_scale <= _MAX_SCALE:
            msg = f"deployer_fee_scale is {self.deployer_fee_scale}; allowed: 0 to {_MAX_SCALE}"
            raise ValueError(msg)
        if not 0 <= self.referral_discount < 1:
            msg = f"referral_discount is {self.referral_discount}; allowed: 0 up to 1"
            raise ValueError(msg)


def hip3_rates(schedule: FeeSchedule) -> FeeRates:
    """
    Return the rates of a HIP-3 market by the venue's published formula.

    With ``s`` the deployer's scale, the venue doubles at most: a positive rate is multiplied by ``1 + s`` below
    one and by ``2 s`` from one on, by a tenth in growth mode, and by one less the referral discount. An aligned
    quote token takes a fifth off the venue's part of the taker rate and adds half to its part of a rebate.
    Source: the venue's fee page, "Fee formula for developers"; checked against real fills (0.0030 % maker in growth
    mode).
    """
    scale = schedule.deployer_fee_scale
    multiple = 1 + scale if scale < 1 else 2 * scale
    deployer_share = _deployer_share(scale)
    venue_share = 1 - deployer_share
    growth = _growth(schedule)
    kept = 1 - schedule.referral_discount

    maker = schedule.base_maker * growth
    if maker > 0:
        maker *= multiple * kept
    elif schedule.aligned:
        maker *= venue_share * _ALIGNED_REBATE + deployer_share
    taker = schedule.base_taker * multiple * growth * kept
    if schedule.aligned:
        taker *= venue_share * _ALIGNED_TAKER + deployer_share
    return FeeRates(maker=maker, taker=taker)


def deployer_rates(schedule: FeeSchedule) -> FeeRates:
    """
    Return the part of ``hip3_rates`` that goes to the deployer, or that the deployer bears of a rebate.

    Of a positive rate the deployer's part is ``s`` times the account's normal rate, of a rebate ``s / (1 + s)``, at
    most half (venue docs, HIP-3 deployer actions). Where a referral discount is active a tenth of the deployer's part
    goes to the referrer: inferred from one fill of ``xyz:SILVER``, whose ``deployerFee`` is 45 % of the fee.
    """
    scale = schedule.deployer_fee_scale
    growth = _growth(schedule)
    kept = 1 - schedule.referral_discount
    if schedule.referral_discount:
        kept *= 1 - REFERRER_REWARD
    maker = schedule.base_maker * growth
    maker *= scale * kept if maker > 0 else _deployer_share(scale)
    return FeeRates(maker=maker, taker=schedule.base_taker * growth * scale * kept)


@dataclass(frozen=True, slots=True)
class FillFee:
    """
    The fee of one fill, in collateral units; negative is a rebate.

    Parameters
    ----------
    total : Decimal
        What the venue prints as ``fee``: the market's fee and the builder's.
    deployer : Decimal
        The deployer's part (``deployerFee``).
    builder : Decimal
        The part of the builder whose interface sent the order (``builderFee``).

    """

    total: Decimal
    deployer: Decimal
    builder: Decimal


def fill_fee(schedule: FeeSchedule, value: Decimal, *, maker: bool, builder_tenths_bp: int = 0) -> FillFee:
    """
    Return the fee of a fill of ``value`` and where it goes, each part cut to six decimals toward zero.

    Parameters
    ----------
    schedule : FeeSchedule
        Of the account on the market.
    value : Decimal
        Price times size.
    maker : bool
        Whether the order rested.
    builder_tenths_bp : int
        The builder's fee in tenths of a basis point (``f`` of the order's ``builder``); 0 for none.

    """
    builder = cut(value * builder_tenths_bp * _BUILDER_UNIT)
    own = hip3_rates(schedule).fee(value, maker=maker)
    deployer = deployer_rates(schedule).fee(value, maker=maker)
    return FillFee(total=own + builder, deployer=deployer, builder=builder)


def counted_volume(value: Decimal, *, growth_mode: bool, aligned: bool = False) -> Decimal:
    """
    Return what a fill of ``value`` counts for the fee tiers: a tenth in growth mode, a fifth more on an aligned token.

    The address's action limit counts the same tenth (venue docs, fees).
    """
    growth = _GROWTH_SCALE if growth_mode else Decimal(1)
    return value * growth * (_ALIGNED_VOLUME if aligned else 1)


def _deployer_share(scale: Decimal) -> Decimal:
    return scale / (1 + scale) if scale < 1 else Decimal("0.5")


def _growth(schedule: FeeSchedule) -> Decimal:
    return _GROWTH_SCALE if schedule.growth_mode else Decimal(1)


GROWTH_RATES = hip3_rates(FeeSchedule())
