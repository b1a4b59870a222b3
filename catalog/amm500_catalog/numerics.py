"""
A first-order recursion, and scipy's functions, each imported when it is first called.

A run from stored data needs none of scipy, which costs tens of MB and seconds; its filters alone are half of that.
"""

from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt


Floats = npt.NDArray[np.float64]


def decay(values: Floats, keep: float, *, gain: float = 1.0, before: float = 0.0) -> Floats:
    """
    Return ``y[n] = keep * y[n - 1] + gain * values[n]``, to the last bit what ``scipy.signal.lfilter`` returns.

    Parameters
    ----------
    values : ndarray
        The inputs, one dimension.
    keep : float
        The share of each output that the next one starts from.
    gain : float, default 1
        A factor on the inputs.
    before : float, default 0
        The output before the first.

    """
    scaled = gain * values
    if keep == 1.0 and before == 0.0:
        return np.cumsum(scaled)
    outputs = accumulate(scaled.tolist(), lambda last, value: keep * last + value, initial=before)
    next(outputs)
    return np.fromiter(outputs, dtype=np.float64, count=len(scaled))


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
