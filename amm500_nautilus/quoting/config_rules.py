"""The checks that settings share: each failure is one sentence naming field, value and what is allowed."""


def require(ok: bool, name: str, value: object, allowed: str) -> None:
    """Raise ``ValueError`` with one sentence naming the field, its value and what is allowed."""
    if not ok:
        msg = f"{name} is {value!r}; it must be {allowed}"
        raise ValueError(msg)


def non_negative(config: object, *names: str) -> None:
    """Require each named field to be zero or more."""
    for name in names:
        value = getattr(config, name)
        require(value >= 0, f"{type(config).__name__}.{name}", value, "zero or more")


def positive(config: object, *names: str) -> None:
    """Require each named field to be more than zero."""
    for name in names:
        value = getattr(config, name)
        require(value > 0, f"{type(config).__name__}.{name}", value, "more than zero")


def fraction(config: object, *names: str) -> None:
    """Require each named field to lie between 0 and 1."""
    for name in names:
        value = getattr(config, name)
        require(0 <= value <= 1, f"{type(config).__name__}.{name}", value, "between 0 and 1")
