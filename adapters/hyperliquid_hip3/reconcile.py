"""
The venue's records as the engine's reports, and the memory that books every fill once.

A fill is unique by its time, coin and trade id (protocol: info endpoints, fills). Which ones were booked outlives the process, so that a
restart neither repeats nor loses one.
"""

import os
from collections import OrderedDict
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any
from typing import Final
from typing import Self

from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.reports import FillReport
from nautilus_trader.execution.reports import OrderStatusReport
from nautilus_trader.execution.reports import PositionStatusReport
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import OrderType
from nautilus_trader.model.enums import PositionSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.identifiers import AccountId
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.identifiers import VenueOrderId
from nautilus_trader.model.objects import Currency
from nautilus_trader.model.objects import Money
from nautilus_trader.model.objects import Price

from hyperliquid_hip3.currency import collateral_currency
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.opening import Opening
from hyperliquid_hip3.order_mapping import ENGINE_TIFS
from hyperliquid_hip3.order_mapping import engine_price
from hyperliquid_hip3.order_mapping import engine_side
from hyperliquid_hip3.order_mapping import report_status
from hyperliquid_hip3.state_files import append_whole
from hyperliquid_hip3.state_files import sync
from hyperliquid_hip3.state_files import write_anew
from hyperliquid_hip3.user_records import ClearinghouseState
from hyperliquid_hip3.user_records import FillKey
from hyperliquid_hip3.user_records import OpenOrder
from hyperliquid_hip3.user_records import UserFill


ZERO: Final = Decimal(0)
NS_PER_MS: Final = 1_000_000
DEFAULT_LIMIT: Final = 20_000
SLACK: Final = 2
# fills of one block share a time, and the venue's list may lag its stream by a few blocks
OVERLAP_MS: Final = 60_000
LIQUIDATION: Final = "LIQUIDATION"
DELEVERAGING: Final = "ADL"
SETTLEMENT: Final = "SETTLEMENT"
MANUAL: Final = "MANUAL"
LATE: Final = "LATE"


class FillLedger:
    """
    Which fills were booked, and the time of the last one.

    Parameters
    ----------
    path : Path, optional
        The file that outlives the process (mode 0600); without one nothing is kept.
    limit : int, default 20000
        The most fills remembered; the oldest go first.

    Raises
    ------
    HyperliquidError
        If the file cannot be opened.

    """

    def __init__(self, path: Path | None = None, *, limit: int = DEFAULT_LIMIT) -> None:
        self._path = path
        self._limit = limit
        self._keys: OrderedDict[FillKey, None] = OrderedDict()
        self._unwritten: dict[FillKey, str] = {}
        self._backlog: list[str] = []
        self._lines = 0
        self._last_ns = 0
        self._file = -1
        if path is not None:
            self._load(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: FillKey) -> bool:
        return key in self._keys

    @property
    def last_ns(self) -> int:
        """The time of the latest fill booked, ns UTC; 0 when there was none, in this run or an earlier one."""
        return self._last_ns

    def since_ms(self) -> int:
        """Return from when on, in ms UTC, the venue must be asked for fills; 0 when none was ever booked."""
        return max(0, self._last_ns // NS_PER_MS - OVERLAP_MS) if self._last_ns else 0

    def add(self, key: FillKey) -> bool:
        """Enter a fill and return whether it is new; :meth:`taken` or :meth:`flush` writes it."""
        if key in self._keys:
            return False
        self._remember(key)
        if self._file >= 0:
            self._unwritten[key] = f"{key.ts_ns} {key.trade_id} {key.coin}\n"
        return True

    def taken(self, key: FillKey) -> None:
        """
        Write that the engine has booked a fill.

        Not earlier: a process killed in between would never be told of it again.

        Raises
        ------
        HyperliquidError
            If it cannot be written.

        """
        line = self._unwritten.pop(key, None)
        if line is not None:
            self._write([line])

    def flush(self) -> None:
        """
        Append what is new to the file.

        Raises
        ------
        HyperliquidError
            If it cannot be written.

        """
        lines = list(self._unwritten.values())
        self._unwritten.clear()
        self._write(lines)

    def _write(self, lines: list[str]) -> None:
        if self._file < 0:
            return
        self._backlog += lines
        if not self._backlog:
            return
        content = "".join(self._backlog).encode()
        try:
            append_whole(self._file, content, f"the file of seen fills {self._path}")
        except HyperliquidError:
            # kept for when there is room again, but no more than is remembered
            del self._backlog[: -self._limit]
            raise
        self._lines += len(self._backlog)
        self._backlog = []

    @property
    def wants_compaction(self) -> bool:
        """Whether the file holds twice what is remembered."""
        return self._file >= 0 and self._lines > SLACK * self._limit

    def compact(self) -> None:
        """
        Write the file anew with what is remembered and booked, whole or not at all.

        Raises
        ------
        HyperliquidError
            If it cannot be written.

        """
        if self._path is None or self._file < 0:
            return
        kept = [key for key in self._keys if key not in self._unwritten]
        content = "".join(f"{key.ts_ns} {key.trade_id} {key.coin}\n" for key in kept)
        write_anew(self._path, content, f"the file of seen fills {self._path}")
        # all that was left to be written is in there
        self._backlog = []
        os.close(self._file)
        self._file = _opened(self._path)
        self._lines = len(kept)

    def close(self) -> None:
        """
        Close the file, without what the engine has not booked; closing twice does nothing.

        Raises
        ------
        HyperliquidError
            If something is left that cannot be written; the file is closed all the same.

        """
        if self._file < 0:
            return
        try:
            self._write([])
            sync(self._file, f"the file of seen fills {self._path}")
        finally:
            os.close(self._file)
            self._file = -1

    def _load(self, path: Path) -> None:
        self._file = _opened(path)
        content = path.read_bytes()
        # a process killed in the middle of a write leaves half a line at the end
        complete = content[: content.rfind(b"\n") + 1]
        if len(complete) != len(content):
            os.ftruncate(self._file, len(complete))
        for line in complete.decode(errors="replace").splitlines():
            parts = line.split(" ")
            self._lines += 1
            if len(parts) == 3 and parts[0].isdecimal() and parts[1].isdecimal():
                self._remember(FillKey(int(parts[0]), parts[2], int(parts[1])))
        if self.wants_compaction:
            self.compact()

    def _remember(self, key: FillKey) -> None:
        self._keys[key] = None
        self._last_ns = max(self._last_ns, key.ts_ns)
        if len(self._keys) > self._limit:
            self._keys.popitem(last=False)


class Reports:
    """
    Makes the engine's reports of one account.

    Parameters
    ----------
    account_id : AccountId
        The account.

    """

    def __init__(self, account_id: AccountId) -> None:
        self.account_id = account_id

    def order(
        self,
        order: OpenOrder,
        status: str,
        instrument: Any,
        *,
        client_order_id: str | None,
        ts_ns: int,
        ts_init: int,
        filled: Decimal | None = None,
        base: Decimal = ZERO,
        average: Decimal | None = None,
        venue_order_id: str | None = None,
    ) -> OrderStatusReport:
        """
        Return the report of one order, as the venue has it and with the venue's status.

        Parameters
        ----------
        order, status, instrument
            The order, its status, and the coin's instrument.
        client_order_id : str or None
            Ours, None for a stranger's.
        ts_ns, ts_init : int
            When it took the status, and now, ns UTC.
        filled : Decimal, optional
            What was booked of it, ``base`` included, where that is known better than by the order.
        base : Decimal, default 0
            What was filled under earlier numbers of the same order.
        average : Decimal, optional
            The average price of its fills.
        venue_order_id : str, optional
            In place of the venue's number.

        """
        done = base + order.orig_size - order.size if filled is None else filled
        quantity = base + order.orig_size
        is_known = client_order_id is not None
        return OrderStatusReport(
            account_id=self.account_id,
            instrument_id=instrument.id,
            client_order_id=ClientOrderId(client_order_id) if is_known else None,
            venue_order_id=VenueOrderId(venue_order_id or str(order.oid)),
            order_side=engine_side(order.side),
            order_type=OrderType.LIMIT,
            time_in_force=ENGINE_TIFS.get(order.tif or "Gtc", ENGINE_TIFS["Gtc"]),
            order_status=report_status(status, filled=done),
            quantity=instrument.make_qty(max(quantity, done)),
            filled_qty=instrument.make_qty(done),
            price=engine_price(order.price, instrument),
            avg_px=average if average is not None else (order.price if done else None),
            post_only=order.tif == "Alo",
            reduce_only=order.reduce_only,
            cancel_reason=None if status in ("open", "filled") else status,
            report_id=UUID4(),
            ts_accepted=order.ts_ns,
            ts_last=max(ts_ns, order.ts_ns),
            ts_init=ts_init,
        )

    def fill(
        self,
        fill: UserFill,
        instrument: Any,
        *,
        client_order_id: str | None,
        ts_init: int,
        venue_order_id: str | None = None,
    ) -> FillReport:
        """Return the report of one fill."""
        return FillReport(
            account_id=self.account_id,
            instrument_id=instrument.id,
            client_order_id=None if client_order_id is None else ClientOrderId(client_order_id),
            venue_order_id=VenueOrderId(venue_order_id or str(fill.oid)),
            trade_id=trade_id_of(fill),
            order_side=engine_side(fill.side),
            last_qty=instrument.make_qty(fill.size),
            last_px=engine_price(fill.price, instrument),
            commission=commission_of(fill, instrument.quote_currency),
            liquidity_side=liquidity_of(fill),
            report_id=UUID4(),
            ts_event=fill.ts_ns,
            ts_init=ts_init,
        )

    def opening(
        self, opening: Opening, instrument: Any, *, ts_ns: int, ts_init: int
    ) -> tuple[OrderStatusReport, FillReport]:
        """Return the reports of what was held before the fills that are reported; it costs nothing any more."""
        number = VenueOrderId(f"OPENING-{ts_ns // NS_PER_MS}")
        side = engine_side(1 if opening.size > 0 else -1)
        quantity = instrument.make_qty(abs(opening.size))
        order = OrderStatusReport(
            account_id=self.account_id,
            instrument_id=instrument.id,
            venue_order_id=number,
            order_side=side,
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.IOC,
            order_status=OrderStatus.FILLED,
            quantity=quantity,
            filled_qty=quantity,
            avg_px=opening.price,
            report_id=UUID4(),
            ts_accepted=ts_ns,
            ts_last=ts_ns,
            ts_init=ts_init,
        )
        fill = FillReport(
            account_id=self.account_id,
            instrument_id=instrument.id,
            venue_order_id=number,
            trade_id=TradeId(str(number.value)),
            order_side=side,
            last_qty=quantity,
            last_px=Price.from_str(f"{opening.price:f}"),
            commission=Money(0, instrument.quote_currency),
            liquidity_side=LiquiditySide.TAKER,
            report_id=UUID4(),
            ts_event=ts_ns,
            ts_init=ts_init,
        )
        return order, fill

    def position(
        self, state: ClearinghouseState, coin: str, instrument: Any, *, ts_init: int
    ) -> PositionStatusReport:
        """Return the report of a coin's position; a coin without an entry is flat."""
        row = state.find(coin)
        if row is None or not row.size:
            return PositionStatusReport.create_flat(
                self.account_id, instrument.id, instrument.size_precision, ts_init
            )
        return PositionStatusReport(
            account_id=self.account_id,
            instrument_id=instrument.id,
            position_side=PositionSide.LONG if row.size > 0 else PositionSide.SHORT,
            quantity=instrument.make_qty(abs(row.size)),
            report_id=UUID4(),
            ts_last=state.ts_ns,
            ts_init=ts_init,
            avg_px_open=row.entry_price,
        )


def trade_id_of(fill: UserFill) -> TradeId:
    """Return the engine's id of a fill: time and trade id, of which the second alone repeats."""
    return TradeId(f"{fill.ts_ns // NS_PER_MS}-{fill.trade_id}")


def commission_of(fill: UserFill, currency: Currency) -> Money:
    """Return what the fill cost, negative for a rebate, in the token that the venue names."""
    token = currency if fill.fee_token in ("", currency.code) else collateral_currency(fill.fee_token)
    return Money(fill.fee, token)


def liquidity_of(fill: UserFill) -> LiquiditySide:
    """Return which side of the trade the user was on."""
    return LiquiditySide.TAKER if fill.is_taker else LiquiditySide.MAKER


def fill_reason(fill: UserFill, account: str) -> str:
    """
    Return why a fill that belongs to no order of ours happened.

    Parameters
    ----------
    fill : UserFill
        The fill; ``direction`` is free text of the venue.
    account : str
        The account's address: a liquidation that another user suffered is an ordinary trade of ours.

    """
    text = fill.direction.lower()
    if "deleverag" in text:
        return DELEVERAGING
    if "settle" in text:
        return SETTLEMENT
    own = not fill.liquidated_user or fill.liquidated_user.lower() == account.lower()
    if (fill.is_liquidation and own) or "liquidat" in text:
        return LIQUIDATION
    return MANUAL


def is_forced(reason: str) -> bool:
    """Return whether the venue made the trade, so that nobody else trades on the account."""
    return reason in (LIQUIDATION, DELEVERAGING, SETTLEMENT)


def average_price(fills: Iterable[UserFill]) -> Decimal | None:
    """Return the average price of fills by size, None without any."""
    size = notional = ZERO
    for fill in fills:
        size += fill.size
        notional += fill.size * fill.price
    return notional / size if size else None


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise HyperliquidError(f"the file of seen fills {path} cannot be opened: {error.strerror}") from error
