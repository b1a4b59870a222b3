"""What can go wrong between us and the venue, by what is known afterwards."""


class HyperliquidError(Exception):
    """The root of every error of this adapter."""


class PayloadError(HyperliquidError):
    """
    A message that does not have the shape of its channel; nothing of it was used.

    Parameters
    ----------
    channel : str
        The channel or request type, for example ``l2Book``.
    reason : str
        What is missing or malformed.

    """

    def __init__(self, channel: str, reason: str) -> None:
        self.channel = channel
        self.reason = reason
        super().__init__(f"{channel}: {reason}")


class TransportError(HyperliquidError):
    """No answer, or none that settles it: the outcome of what was sent is unknown."""


class OrderRefusedError(HyperliquidError):
    """The venue answered and said no; only this may become a rejected order."""


class SigningError(HyperliquidError):
    """An action could not be signed; nothing was sent."""
