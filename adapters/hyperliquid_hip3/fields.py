"""
Reading one field of a decoded message: the value in its type, or :class:`~hyperliquid_hip3.errors.PayloadError` naming the field.

The venue writes prices, sizes and amounts as texts; a JSON float would already have lost digits and is refused. Texts and whole numbers
beyond any the venue could mean are refused too: a number such as ``1e999999999`` is finite, and freezes whoever writes it out later.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from decimal import Decimal
from decimal import InvalidOperation
from typing import Any
from typing import Final
from typing import cast

from hyperliquid_hip3.errors import PayloadError


NS_PER_MS: Final = 1_000_000
ZERO: Final = Decimal(0)
# no price, size or amount of the venue comes near these
SMALLEST: Final = Decimal("1e-30")
LARGEST: Final = Decimal("1e30")
LONGEST_NUMBER: Final = 64
# ids are 64-bit on the venue; times must fit in 64-bit nanoseconds
MAX_WHOLE: Final = 2**64 - 1
MAX_TIME_MS: Final = (2**63 - 1) // NS_PER_MS
SHOWN_CHARACTERS: Final = 80
SIDES: Final[dict[str, int]] = {"B": 1, "A": -1}


def shown(value: Any) -> str:
    """
    Return a value for an error's text, short whatever it is.

    A container is named by its type alone: writing out a deep one would overflow the stack, and a long whole number cannot be written at all.
    """
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        cut = value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "..."
        return repr(cut)
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 128 else f"a whole number of {value.bit_length()} bits"
    if isinstance(value, (float, Decimal)):
        return f"the number {value!s:.{SHOWN_CHARACTERS}}, not written as text"
    return f"of type {type(value).__name__}"


def mapping(value: Any, channel: str) -> Mapping[str, Any]:
    """Return the value as an object with named fields."""
    # what the decoder makes first: the question whether it is any mapping takes longer than the rest
    if type(value) is dict or isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value)
    raise PayloadError(channel, f"expected an object, got {type(value).__name__}")


def sequence(value: Any, channel: str, name: str) -> Sequence[Any]:
    """Return the value as a list; ``name`` is what the error calls it."""
    if not isinstance(value, (list, tuple)):
        raise PayloadError(channel, f"`{name}` is not a list but {type(value).__name__}")
    return value


def pair(value: Any, channel: str, name: str) -> tuple[Any, Any]:
    """Return the two elements of a list of two."""
    row = sequence(value, channel, name)
    if len(row) != 2:
        raise PayloadError(channel, f"`{name}` has {len(row)} elements, not 2")
    return row[0], row[1]


def field(body: Mapping[str, Any], name: str, channel: str) -> Any:
    """Return a field that must be there, whatever it holds."""
    try:
        return body[name]
    except KeyError:
        raise _missing(name, channel) from None


def inner(body: Mapping[str, Any], name: str, channel: str) -> Mapping[str, Any]:
    """Return a field that must be an object."""
    value = field(body, name, channel)
    if type(value) is dict or isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value)
    raise PayloadError(channel, f"`{name}` is not an object but {type(value).__name__}")


def items(body: Mapping[str, Any], name: str, channel: str) -> Sequence[Any]:
    """Return a field that must be a list."""
    return sequence(field(body, name, channel), channel, name)


def text(body: Mapping[str, Any], name: str, channel: str) -> str:
    """Return a text that must not be empty."""
    try:
        value = body[name]
    except KeyError:
        raise _missing(name, channel) from None
    if isinstance(value, str) and value:
        return value
    raise PayloadError(channel, f"`{name}` was {shown(value)}, must be a text")


def optional_text(body: Mapping[str, Any], name: str, channel: str) -> str:
    """Return a text, empty where the field is missing or null."""
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise PayloadError(channel, f"`{name}` was {shown(value)}, must be a text or null")
    return value


def flag(body: Mapping[str, Any], name: str, channel: str) -> bool:
    """Return a true or false that must be there."""
    value = field(body, name, channel)
    if not isinstance(value, bool):
        raise PayloadError(channel, f"`{name}` was {shown(value)}, must be true or false")
    return value


def optional_flag(body: Mapping[str, Any], name: str, channel: str) -> bool:
    """Return a true or false, false where the field is missing or null."""
    return False if body.get(name) is None else flag(body, name, channel)


def whole(body: Mapping[str, Any], name: str, channel: str) -> int:
    """Return a whole number from 0 to 2**64 - 1."""
    try:
        value = body[name]
    except KeyError:
        raise _missing(name, channel) from None
    if type(value) is int and 0 <= value <= MAX_WHOLE:
        return value
    raise PayloadError(channel, f"`{name}` was {shown(value)}, must be a whole number")


def time_ns(body: Mapping[str, Any], name: str, channel: str) -> int:
    """Return a time in nanoseconds UTC; the venue sends milliseconds."""
    try:
        value = body[name]
    except KeyError:
        raise _missing(name, channel) from None
    if type(value) is int and 0 <= value <= MAX_TIME_MS:
        return value * NS_PER_MS
    raise PayloadError(channel, f"`{name}` was {shown(value)}, must be a time in whole milliseconds")


def side(body: Mapping[str, Any], channel: str, name: str = "side") -> int:
    """Return +1 for "B" and -1 for "A"."""
    value = text(body, name, channel)
    sign = SIDES.get(value)
    if sign is None:
        raise PayloadError(channel, f"`{name}` was {shown(value)}, not 'B' or 'A'")
    return sign


def decimal(value: Any, channel: str, name: str) -> Decimal:
    """Return the number that a text writes; ``name`` is what the error calls it."""
    if isinstance(value, str) and len(value) <= LONGEST_NUMBER:
        try:
            number = Decimal(value)
            if not number:
                # "0e-999999" is zero with an exponent that spreads through sums
                return number if value.isascii() and "e" not in value.lower() else ZERO
            # comparing also turns away NaN (it raises) and infinity
            if SMALLEST <= number < LARGEST or -LARGEST < number <= -SMALLEST:
                return number
        except InvalidOperation:
            pass
    raise PayloadError(channel, f"`{name}` was {shown(value)}, must be a number written as text")


def number(body: Mapping[str, Any], name: str, channel: str) -> Decimal:
    """Return a number of any sign."""
    try:
        value = body[name]
    except KeyError:
        raise _missing(name, channel) from None
    return decimal(value, channel, name)


def unsigned(body: Mapping[str, Any], name: str, channel: str) -> Decimal:
    """Return a number that must not be negative."""
    try:
        value = body[name]
    except KeyError:
        raise _missing(name, channel) from None
    amount = decimal(value, channel, name)
    if amount < ZERO:
        raise PayloadError(channel, f"`{name}` was {shown(value)}, must not be negative")
    return amount


def positive(body: Mapping[str, Any], name: str, channel: str) -> Decimal:
    """Return a number above zero."""
    try:
        value = body[name]
    except KeyError:
        raise _missing(name, channel) from None
    amount = decimal(value, channel, name)
    if amount <= ZERO:
        raise PayloadError(channel, f"`{name}` was {shown(value)}, must be positive")
    return amount


def optional_number(body: Mapping[str, Any], name: str, channel: str) -> Decimal | None:
    """Return a number of any sign, None where the field is missing or null."""
    value = body.get(name)
    return None if value is None else decimal(value, channel, name)


def _missing(name: str, channel: str) -> PayloadError:
    return PayloadError(channel, f"`{name}` is missing")
