"""What a recording may hold beside the rest of it: prices near the others, sizes of a lot, ids that a trade can be given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from amm500_catalog.errors import InputError
from amm500_catalog.validate import row_text


# a trade or a best price this many times over or under the recording's median is no price of that market
FARTHEST: Final = 10.0
# a step as float64 writes it
WHOLE: Final = 1 - 1e-9
# what Nautilus takes as the id of a trade
LONGEST_ID: Final = 36
ID_PATTERN: Final = rf"[!-~]{{1,{LONGEST_ID}}}"


@dataclass(frozen=True, slots=True)
class Scale:
    """
    What the prices and sizes of one recording are measured by.

    ``usual`` is the median of its prices; ``tick`` and ``lot`` are the market's.
    """

    usual: float
    tick: float
    lot: float

    def refuse_far(self, prices: np.ndarray, where: Callable[[int], str]) -> None:
        """
        Refuse a trade or a best price that is not of this market. NaN is passed over.

        Raises
        ------
        InputError
            Naming the first, with ``where`` of its number.

        """
        wrong = np.flatnonzero((prices < self.usual / FARTHEST) | (prices > self.usual * FARTHEST))
        if len(wrong):
            row = int(wrong[0])
            raise InputError(
                f"the price {prices[row]:g} is not of a market at {self.usual:g}",
                where(row),
                f"prices within {FARTHEST:g} times of the recording's median",
            )

    def refuse_lost(self, prices: np.ndarray, sizes: np.ndarray, where: Callable[[int], str]) -> None:
        """
        Refuse a price under a tick and a size under a lot, which would be stored as another one or as zero. Without a price there is nothing.

        Raises
        ------
        InputError
            Naming the first, with ``where`` of its number.

        """
        for name, values, step, unit in (
            ("price", prices, self.tick, "tick"),
            ("size", sizes, self.lot, "lot"),
        ):
            wrong = np.flatnonzero((values < step * WHOLE) & ~np.isnan(prices))
            if len(wrong):
                row = int(wrong[0])
                raise InputError(
                    f"the {name} {values[row]:g} is under the {unit} of {step:g}",
                    where(row),
                    f"a {name} of at least a {unit}",
                )


def require_trade_ids(ids: pd.Series, path: str) -> None:
    """
    Refuse an id that no trade can be given.

    Raises
    ------
    InputError
        Naming the first such row.

    """
    is_missing = ids.isna().to_numpy()
    # a column of numbers in which one is missing reads as fractions: the missing one is what is wrong
    texts = ids.astype(str)
    wrong = np.flatnonzero(is_missing if is_missing.any() else ~texts.str.fullmatch(ID_PATTERN).to_numpy())
    if len(wrong):
        row = int(wrong[0])
        shown = "missing" if is_missing[row] else repr(texts.iloc[row][: LONGEST_ID + 4])
        raise InputError(
            f"`trade_id` is {shown}",
            row_text(path, row),
            f"1 to {LONGEST_ID} letters, digits or signs of ASCII without spaces",
        )
