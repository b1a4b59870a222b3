"""Collateral tokens that Nautilus does not know, registered on import."""

from nautilus_trader.model.enums import CurrencyType
from nautilus_trader.model.objects import Currency


# spot decimals of the token (weiDecimals 8 in the venue's spotMeta); perp accounting rounds to 6
TOKEN_PRECISION = 8

USDH = Currency("USDH", TOKEN_PRECISION, 0, "USDH", CurrencyType.CRYPTO)
Currency.register(USDH, overwrite=False)


def collateral_currency(code: str) -> Currency:
    """
    Return the Nautilus currency of a collateral token, registering it when it is new.

    Parameters
    ----------
    code : str
        The token's name as the venue's ``spotMeta`` gives it, for example ``USDH``, ``USDC``, ``USDE``.

    """
    known = Currency.from_internal_map(code)
    if known is not None:
        return known
    currency = Currency(code, TOKEN_PRECISION, 0, code, CurrencyType.CRYPTO)
    Currency.register(currency, overwrite=False)
    return currency
