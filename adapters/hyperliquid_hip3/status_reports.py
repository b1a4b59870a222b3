"""What the engine is told when it asks how things stand: open orders, fills and positions, of one moment and never more than is known."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from typing import Final

from nautilus_trader.cache.cache import Cache
from nautilus_trader.core.datetime import dt_to_unix_nanos
from nautilus_trader.execution.messages import GenerateFillReports
from nautilus_trader.execution.messages import GenerateOrderStatusReport
from nautilus_trader.execution.reports import FillReport
from nautilus_trader.execution.reports import OrderStatusReport
from nautilus_trader.execution.reports import PositionStatusReport
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.identifiers import InstrumentId

from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.fill_ledger import OVERLAP_MS
from hyperliquid_hip3.fill_order import in_order
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.opening import opening_of
from hyperliquid_hip3.reconcile import Reports
from hyperliquid_hip3.reconcile import average_price
from hyperliquid_hip3.reconcile import fill_reason
from hyperliquid_hip3.reconcile import is_forced
from hyperliquid_hip3.reconcile import trade_id_of
from hyperliquid_hip3.replies import is_rejected
from hyperliquid_hip3.session import Session
from hyperliquid_hip3.tracking import FILLED
from hyperliquid_hip3.tracking import OrderTrack
from hyperliquid_hip3.tracking import Phase
from hyperliquid_hip3.user_records import ClearinghouseState
from hyperliquid_hip3.user_records import FillKey
from hyperliquid_hip3.user_records import OpenOrder
from hyperliquid_hip3.user_records import OrderUpdate
from hyperliquid_hip3.user_records import UserFill


NS_PER_MS: Final = 1_000_000
MS_PER_MINUTE: Final = 60_000
SNAPSHOT_TRIES: Final = 5
ZERO: Final = Decimal(0)

# fills by client order id, or by number where there is none
type Trades = dict[str, list[UserFill]]
type Snapshot = tuple[list[OrderStatusReport], list[FillReport], list[PositionStatusReport]]


class StatusReports:
    """
    Makes the reports of one session.

    Parameters
    ----------
    session : Session
        The open session.
    cache : Cache
        What the engine holds.
    reports : Reports
        Makes single reports.

    """

    def __init__(self, session: Session, cache: Cache, reports: Reports) -> None:
        self._session = session
        self._cache = cache
        self._reports = reports
        # whether the engine has taken the account as it was at the start; from then on events say what changes
        self.is_started = False

    # -- at the start ----------------------------------------------------------------------------------

    async def snapshot(self, lookback_mins: int | None = None) -> Snapshot:
        """
        Return orders, fills and positions of one moment: read until nothing traded in between.

        Raises
        ------
        HyperliquidError
            If the venue does not answer, or the account never rests for the time of five queries.

        """
        session = self._session
        now_ms = session.sender.venue_ms()
        since_ms = session.desk.ledger.since_ms() or now_ms - OVERLAP_MS
        if lookback_mins is not None:
            since_ms = min(since_ms, now_ms - lookback_mins * MS_PER_MINUTE)
        for _ in range(SNAPSHOT_TRIES):
            orders, fills, state = await self._read(since_ms)
            if state is not None:
                return await self._reports_of(orders, fills, state)
        raise HyperliquidError(f"the account traded during each of {SNAPSHOT_TRIES} attempts to read it")

    async def _read(self, since_ms: int) -> tuple[list[OpenOrder], list[UserFill], ClearinghouseState | None]:
        client, account, dex = self._session.client, self._session.account_address, self._session.dex
        before = await client.open_orders(account, dex)
        partly = [o.ts_ns // NS_PER_MS for o in before if o.size < o.orig_size]
        first_ms = min([since_ms, *partly])
        earlier = await client.user_fills_by_time(account, first_ms)
        state = await client.clearinghouse_state(account, dex)
        orders = await client.open_orders(account, dex)
        fills = await client.user_fills_by_time(account, first_ms)
        same_orders = {(o.oid, o.size) for o in before} == {(o.oid, o.size) for o in orders}
        same_fills = {fill.key for fill in earlier} == {fill.key for fill in fills}
        is_ours = self._session.is_ours
        return (
            [order for order in orders if is_ours(order.coin)],
            [fill for fill in fills if is_ours(fill.coin)],
            state if same_orders and same_fills else None,
        )

    async def _reports_of(
        self, orders: list[OpenOrder], fills: list[UserFill], state: ClearinghouseState
    ) -> Snapshot:
        session, desk = self._session, self._session.desk
        traded: Trades = {}
        for fill in fills:
            traded.setdefault(self._name_of(fill), []).append(fill)
        order_reports = self._open_reports(orders, traded)
        open_names = {self._name_of(order) for order in orders}
        news = [f for f in fills if f.key not in desk.ledger and self._name_of(f) not in open_names]
        order_reports += await self._closed_reports(news, traded)
        told: list[UserFill] = []
        fill_reports = []
        for report in order_reports:
            name, number = str(report.client_order_id.value), str(report.venue_order_id.value)
            rows = traded.pop(name, None) or traded.pop(number, [])
            fill_reports += [self._fill_report(fill, number) for fill in rows]
            told += rows
        self._tell_strangers(fill for fill in news if self._name_of(fill) in traded)
        for fill in fills:
            desk.ledger.add(fill.key)
        desk.floor_ns = max(desk.floor_ns, state.ts_ns)
        self.is_started = True
        coins = {row.coin for row in state.positions if session.is_ours(row.coin)}
        reported = coins | self._held_coins()
        # the engine takes the orders in this order, and an average price depends on it
        first_ns = {report.venue_order_id: report.ts_event for report in reversed(fill_reports)}
        order_reports.sort(key=lambda report: first_ns.get(report.venue_order_id, state.ts_ns))
        for coin in sorted(coins | {fill.coin for fill in told}):
            opening = self._opening_reports(state, coin, [fill for fill in told if fill.coin == coin])
            if opening is not None:
                order_reports[:0], fill_reports[:0] = opening
                # beside a position's report the engine drops fills before the last time it was flat, and makes up others
                reported.discard(coin)
        return order_reports, fill_reports, self._position_reports(state, reported)

    def _opening_reports(
        self, state: ClearinghouseState, coin: str, fills: list[UserFill]
    ) -> tuple[list[OrderStatusReport], list[FillReport]] | None:
        # None where fills and an opening trade do not make the position
        instrument, row = self._session.instrument(coin), state.find(coin)
        if instrument is None:
            return None
        held = self._held(instrument.id)
        # what the engine has from an earlier run tells its own past
        rows = in_order(fill for fill in fills if not self._is_cached(fill))
        size, entry = (ZERO, None) if row is None else (row.size, row.entry_price)
        if size == held + sum((fill.side * fill.size for fill in rows), ZERO):
            return [], []
        if held or (not rows and entry is None):
            return None
        if entry is None:
            # flat by now: the first of the fills says at which price the rest was held
            entry = rows[0].price + rows[0].side * rows[0].closed_pnl / rows[0].size
        opening = opening_of(size, entry, rows)
        if opening is None:
            return None
        before_ns = min([state.ts_ns, *(fill.ts_ns for fill in rows)]) - NS_PER_MS
        order, fill = self._reports.opening(
            opening, instrument, ts_ns=before_ns, ts_init=self._session.now_ns()
        )
        return [order], [fill]

    def _name_of(self, row: OpenOrder | UserFill) -> str:
        # a modify gives an order another number, and what its earlier ones filled is still its own
        return self._session.desk.cloids.client_order_id(row.cloid) or str(row.oid)

    def _open_reports(self, orders: Iterable[OpenOrder], traded: Trades) -> list[OrderStatusReport]:
        reports = []
        for order in orders:
            key = self._session.desk.cloids.client_order_id(order.cloid)
            instrument = self._session.instrument(order.coin)
            if instrument is None or not self._may_keep(order, key):
                continue
            track = self._session.desk.shelf.find(order.oid, order.cloid)
            rows = traded.get(self._name_of(order), [])
            if track is None:
                track = self._adopt(order, key, instrument, _size_of(rows, but=order.oid))
            elif track.phase is not Phase.OPEN:
                # over by now, or its number is on its way: events tell that
                continue
            reports.append(self.of_track(track, average=average_price(rows)))
        return reports

    async def _closed_reports(self, fills: list[UserFill], traded: Trades) -> list[OrderStatusReport]:
        # orders that closed while nobody looked; a stranger's trades are in the position
        cloids = self._session.desk.cloids
        wanted = {cloids.client_order_id(fill.cloid) for fill in fills} - {None}
        if not wanted:
            return []
        last: dict[str, OrderUpdate] = {}
        for update in await self._session.client.historical_orders(self._session.account_address):
            key = cloids.client_order_id(update.order.cloid)
            # a refused modify has a number too, and was never an order
            if key is None or key not in wanted or is_rejected(update.status):
                continue
            if key not in last or update.order.oid > last[key].order.oid:
                last[key] = update
        return [
            report
            for key, update in last.items()
            if (report := self._closed_report(key, update, traded[key]))
        ]

    def _closed_report(self, key: str, update: OrderUpdate, rows: list[UserFill]) -> OrderStatusReport | None:
        order, instrument = update.order, self._session.instrument(update.order.coin)
        if instrument is None:
            return None
        cached = self._cache.order(ClientOrderId(key))
        if cached is None:
            filled = _size_of(rows)
            if update.status == FILLED:
                # what it filled before is in the opening trade; with that part the engine would hold the order open for ever
                order = replace(order, size=ZERO, orig_size=filled - _size_of(rows, but=order.oid))
        else:
            fresh = [fill for fill in rows if not self._is_cached(fill)]
            filled = cached.filled_qty.as_decimal() + _size_of(fresh)
        return self._reports.order(
            order,
            update.status,
            instrument,
            client_order_id=key,
            ts_ns=update.ts_ns,
            ts_init=self._session.now_ns(),
            filled=filled,
            base=max(_size_of(rows, but=order.oid), filled - (order.orig_size - order.size)),
            average=average_price(rows),
        )

    def _tell_strangers(self, fills: Iterable[UserFill]) -> None:
        for fill in fills:
            reason = fill_reason(fill, self._session.account_address)
            forced = is_forced(reason)
            kind = NoticeKind.LIQUIDATION if forced else NoticeKind.SECOND_TRADER
            text = f"{reason} while this process did not run: {fill.size} at {fill.price}"
            self._session.owner.on_notice(kind, text, coin=fill.coin, is_alarm=True)

    # -- while it runs ---------------------------------------------------------------------------------

    async def one(self, command: GenerateOrderStatusReport, key: str | None) -> OrderStatusReport | None:
        """Ask about an order that is not kept here and return its report, None when the venue does not know it."""
        cloids = self._session.desk.cloids
        if key is not None:
            name: int | str = cloids.add(key)
        elif command.venue_order_id is not None and str(command.venue_order_id.value).isdecimal():
            name = int(command.venue_order_id.value)
        else:
            return None
        state = await self._session.client.order_status(self._session.account_address, name)
        if state.order is None:
            return None
        instrument = self._session.instrument(state.order.coin)
        key = key or cloids.client_order_id(state.order.cloid)
        if instrument is None or not self._may_keep(state.order, key):
            return None
        order = None if key is None else self._cache.order(ClientOrderId(key))
        return self._reports.order(
            state.order,
            state.status,
            instrument,
            client_order_id=key,
            ts_ns=state.ts_ns,
            ts_init=self._session.now_ns(),
            # fills are told by their own events; a report must not make the engine infer one
            filled=None if order is None else order.filled_qty.as_decimal(),
        )

    async def orders(self, instrument_id: InstrumentId | None) -> list[OrderStatusReport]:
        """Return the reports of open orders, of one instrument or all."""
        orders = await self._session.client.open_orders(self._session.account_address, self._session.dex)
        wanted = []
        for order in orders:
            instrument = self._session.instrument(order.coin)
            if instrument is not None and instrument_id in (None, instrument.id):
                wanted.append(order)
        return self._open_reports(wanted, {})

    async def fills(self, command: GenerateFillReports) -> list[FillReport]:
        """Return the reports of our own orders' fills, of one instrument or order, or all."""
        start_ns = 0 if command.start is None else dt_to_unix_nanos(command.start)
        since_ms = start_ns // NS_PER_MS or self._session.fills_since_ms()
        rows = await self._session.client.user_fills_by_time(self._session.account_address, since_ms)
        cloids = self._session.desk.cloids
        found: dict[FillKey, FillReport] = {}
        for fill in rows:
            instrument = self._session.instrument(fill.coin)
            if instrument is None or command.instrument_id not in (None, instrument.id):
                continue
            if command.venue_order_id is not None and str(fill.oid) != command.venue_order_id.value:
                continue
            if cloids.client_order_id(fill.cloid) is not None:
                found[fill.key] = self._fill_report(fill)
        return list(found.values())

    async def positions(self, instrument_id: InstrumentId | None) -> list[PositionStatusReport]:
        """Return the reports of positions; a flat one where the engine holds a position that the venue does not."""
        state = await self._session.client.clearinghouse_state(
            self._session.account_address, self._session.dex
        )
        coins = {row.coin for row in state.positions if self._session.is_ours(row.coin)} | self._held_coins()
        if instrument_id is not None:
            instrument = self._cache.instrument(instrument_id)
            coins = set() if instrument is None else {str(instrument.raw_symbol.value)}
        return self._position_reports(state, coins)

    def differences(self, found: Iterable[PositionStatusReport]) -> list[str]:
        """Return where the venue's positions are not those that the engine holds."""
        told = []
        for report in found:
            held = self._held(report.instrument_id)
            if held != report.signed_decimal_qty:
                told.append(f"{report.instrument_id}: venue {report.signed_decimal_qty}, booked {held}")
        return told

    def of_track(self, track: OrderTrack, *, average: Decimal | None = None) -> OrderStatusReport:
        """Return the report of an order as its events have told it."""
        instrument = self._session.instrument(track.coin)
        spec = self._session.desk.shelf.spec(track.key)
        shown = OpenOrder(
            coin=track.coin,
            side=track.side,
            price=track.price,
            size=track.quantity - track.filled,
            orig_size=track.quantity,
            oid=track.oid or 0,
            cloid=track.cloid,
            ts_ns=track.ts_ns,
            reduce_only=track.reduce_only,
            tif=spec.tif,
        )
        cached = self._cache.order(ClientOrderId(track.key))
        known = None if cached is None or cached.avg_px is None else Decimal(str(cached.avg_px))
        report = self._reports.order(
            shown,
            "open",
            instrument,
            client_order_id=track.key,
            ts_ns=self._session.now_ns(),
            ts_init=self._session.now_ns(),
            filled=track.filled,
            average=average if known is None else known,
        )
        # with a command on its way the engine keeps its own status
        if track.cancel is not None:
            report.order_status = OrderStatus.PENDING_CANCEL
        elif track.modify is not None:
            report.order_status = OrderStatus.PENDING_UPDATE
        return report

    def adopt(self, order: OpenOrder, instrument: Any) -> OrderStatusReport:
        """Keep an order that is not ours, and return its report."""
        return self.of_track(self._adopt(order, None, instrument))

    # -- inside ----------------------------------------------------------------------------------------

    def _is_cached(self, fill: UserFill) -> bool:
        order = self._cache.order(ClientOrderId(self._name_of(fill)))
        return order is not None and trade_id_of(fill) in order.trade_ids

    def _may_keep(self, order: OpenOrder, key: str | None) -> bool:
        if order.is_trigger:
            return False
        if key is not None or self._session.config.adopt_foreign:
            return True
        self._session.desk.strangers.on_resting(order)
        return False

    def _adopt(
        self, order: OpenOrder, key: str | None, instrument: Any, earlier: Decimal = ZERO
    ) -> OrderTrack:
        name = key or f"ADOPTED-{order.oid}"
        cached = self._cache.order(ClientOrderId(name))
        filled = earlier + order.orig_size - order.size
        if cached is not None:
            filled = max(filled, cached.filled_qty.as_decimal())
        asset = int(instrument.info["asset_id"])
        return self._session.desk.shelf.adopt(name, order, asset=asset, filled=filled)

    def _fill_report(self, fill: UserFill, number: str | None = None) -> FillReport:
        track = self._session.desk.shelf.find(fill.oid, fill.cloid)
        key = self._session.desk.cloids.client_order_id(fill.cloid) if track is None else track.key
        if number is None and track is not None and track.oid is not None:
            number = str(track.oid)
        return self._reports.fill(
            fill,
            self._session.instrument(fill.coin),
            client_order_id=key,
            ts_init=self._session.now_ns(),
            venue_order_id=number,
        )

    def _position_reports(self, state: ClearinghouseState, coins: set[str]) -> list[PositionStatusReport]:
        reports = []
        for coin in sorted(coins):
            instrument = self._session.instrument(coin)
            if instrument is not None:
                reports.append(
                    self._reports.position(state, coin, instrument, ts_init=self._session.now_ns())
                )
        return reports

    def _held_coins(self) -> set[str]:
        coins = set()
        for position in self._cache.positions_open(venue=self._session.venue):
            instrument = self._cache.instrument(position.instrument_id)
            if instrument is not None:
                coins.add(str(instrument.raw_symbol.value))
        return coins

    def _held(self, instrument_id: InstrumentId) -> Decimal:
        positions = self._cache.positions_open(instrument_id=instrument_id)
        return sum((position.signed_decimal_qty() for position in positions), ZERO)


def _size_of(fills: Iterable[UserFill], *, but: int | None = None) -> Decimal:
    """Return the size of fills, of every number or every other one."""
    return sum((fill.size for fill in fills if fill.oid != but), ZERO)
