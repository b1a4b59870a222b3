"""scipy's functions, each imported when it is first called: a run from stored data needs none, and they cost 70 MB and seconds."""

from typing import Any


def lfilter(*args: Any, **kwargs: Any) -> Any:
    """Call ``scipy.signal.lfilter``."""
    from scipy import signal  # noqa: PLC0415 -- see above

    return signal.lfilter(*args, **kwargs)


def ndtr(*args: Any, **kwargs: Any) -> Any:
    """Call ``scipy.special.ndtr``."""
    from scipy import special  # noqa: PLC0415 -- see above

    return special.ndtr(*args, **kwargs)


def ndtri(*args: Any, **kwargs: Any) -> Any:
    """Call ``scipy.special.ndtri``."""
    from scipy import special  # noqa: PLC0415 -- see above

    return special.ndtri(*args, **kwargs)


def betaincinv(*args: Any, **kwargs: Any) -> Any:
    """Call ``scipy.special.betaincinv``."""
    from scipy import special  # noqa: PLC0415 -- see above

    return special.betaincinv(*args, **kwargs)


def stdtr(*args: Any, **kwargs: Any) -> Any:
    """Call ``scipy.special.stdtr``."""
    from scipy import special  # noqa: PLC0415 -- see above

    return special.stdtr(*args, **kwargs)


def linprog(*args: Any, **kwargs: Any) -> Any:
    """Call ``scipy.optimize.linprog``."""
    from scipy import optimize  # noqa: PLC0415 -- see above

    return optimize.linprog(*args, **kwargs)
