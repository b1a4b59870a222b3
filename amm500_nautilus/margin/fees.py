"""The HIP-3 fee formula and the fee of one fill."""

from dataclasses import dataclass
from decimal import ROUND_DOWN
from decimal import Decimal


FEE_STEP = Decimal("0.000001")

BASE_MAKER_RATE = Decimal("0.00015")
BASE_TAKER_RATE = Decimal("0.00045")

_ALIGNED_TAKER = Decimal("0.8")
_ALIGNED_REBATE = Decimal("1.5")
_GROWTH_SCALE = Decimal("0.1")
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
        rate = self.maker if maker else self.taker
        return (value * rate).quantize(FEE_STEP, rounding=ROUND_DOWN)

    def scaled(self, *, maker: bool) -> tuple[int, int]:
        """Return the rate as an exact fraction ``(numerator, denominator)`` of integers."""
        rate = self.maker if maker else self.taker
        numerator = rate * _RATE_SCALE
        if numerator != int(numerator):
            return rate.as_integer_ratio()
        return int(numerator), _RATE_SCALE


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeSchedule:
    """
    What decides an account's rates on a builder-deployed dex.

    Parameters
    ----------
    base_maker, base_taker : Decimal
        The account's rates on the validator dex (``userAddRate`` and ``userCrossRate`` of ``userFees``).
    deployer_fee_scale : Decimal
        The deployer's ``deployerFeeScale``, 0 to 3 (0 to 10 in growth mode).
    growth_mode : bool
        Whether the market is in growth mode (rates a tenth).
    referral_discount : Decimal
        For example ``0.04``; taken off positive rates only.
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
        if self.deployer_fee_scale < 0:
            msg = f"deployer_fee_scale is {self.deployer_fee_scale}; allowed: 0 or more"
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
    Source: the venue's fee page, "HIP-3 fees"; checked against real fills (0.0030 % maker in growth mode).
    """
    scale = schedule.deployer_fee_scale
    multiple = 1 + scale if scale < 1 else 2 * scale
    deployer_share = scale / (1 + scale) if scale < 1 else Decimal("0.5")
    venue_share = 1 - deployer_share
    growth = _GROWTH_SCALE if schedule.growth_mode else Decimal(1)
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


GROWTH_RATES = hip3_rates(FeeSchedule())
