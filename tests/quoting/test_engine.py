"""The whole cycle: from messages to decisions."""

import json
import random
from dataclasses import replace

import pytest

from amm500_nautilus.quoting.book import net_own
from amm500_nautilus.quoting.config import AdaptiveConfig
from amm500_nautilus.quoting.config import QuotingConfig
from amm500_nautilus.quoting.config import RebalanceConfig
from amm500_nautilus.quoting.engine import QuoteEngine
from amm500_nautilus.quoting.sessions import SessionCalendar
from amm500_nautilus.quoting.types import AccountView
from amm500_nautilus.quoting.types import BookView
from amm500_nautilus.quoting.types import BudgetView
from amm500_nautilus.quoting.types import Cancel
from amm500_nautilus.quoting.types import Decision
from amm500_nautilus.quoting.types import MarketShape
from amm500_nautilus.quoting.types import Modify
from amm500_nautilus.quoting.types import Place
from amm500_nautilus.quoting.types import QuoteState
from amm500_nautilus.quoting.types import RestingOrder
from amm500_nautilus.quoting.types import RiskLimits


S = 1_000_000_000
SHAPE = MarketShape(tick=0.01, lot=0.001)
ACCOUNT = AccountView(equity=10_000.0, leverage=10.0, position_lots=0)
RICH = BudgetView()
# a delta of 0.01 at 690 and a limit of 100,000: 1,000 / 0.69 = 1449 lots
LOTS_PER_PERCENT = 1_449


def view(ts_ns: int, *, bid: int = 69_000, spread: int = 1, lots: float = 20_000.0) -> BookView:
    return BookView(
        ts_ns,
        [bid - i for i in range(10)],
        [lots] * 10,
        [bid + spread + i for i in range(10)],
        [lots] * 10,
    )


def make(config: QuotingConfig | None = None, sessions: SessionCalendar | None = None) -> QuoteEngine:
    engine = QuoteEngine(SHAPE, config or QuotingConfig(), sessions)
    engine.on_book(view(S))
    return engine


def decide(
    engine: QuoteEngine,
    account: AccountView = ACCOUNT,
    *,
    ts_ns: int = S,
    resting: tuple[RestingOrder, ...] = (),
    budget: BudgetView = RICH,
) -> Decision:
    return engine.decide(ts_ns, account, resting, budget)


def best(decision: Decision) -> tuple[int, int]:
    return decision.plan.bids[0].price_ticks, decision.plan.asks[0].price_ticks


def long(percent: float) -> AccountView:
    return replace(ACCOUNT, position_lots=round(percent * LOTS_PER_PERCENT))


@pytest.mark.parametrize("model", ["tiered", "fixed_grid", "glft"])
def test_a_flat_account_quotes_both_sides_symmetrically(model: str) -> None:
    decision = decide(make(QuotingConfig(model=model)))  # type: ignore[arg-type]
    assert decision.state is QuoteState.QUOTING
    assert decision.reasons == ()
    bid, ask = best(decision)
    # each rounds away from fair value by less than a tick
    assert decision.fair_ticks - bid == pytest.approx(ask - decision.fair_ticks, abs=1)
    assert sum(level.lots for level in decision.plan.bids) == sum(level.lots for level in decision.plan.asks)
    assert len(decision.changes) == len(decision.plan.bids) + len(decision.plan.asks)


def test_the_first_decision_by_hand() -> None:
    decision = decide(make())
    # volatility starts at 10 %: band 5-25 bp; depth 276k is deep: x0.8 and x0.9, so 4 and 22.5 bp of 69000.5
    assert decision.plan.factors["min_bps"] == pytest.approx(4.0)
    assert decision.plan.factors["max_bps"] == pytest.approx(22.5)
    # 69000.5 - 27.6002 = 68972.8998, rounded away; 69000.5 - 155.2511 = 68845.2489
    assert decision.plan.bids[0].price_ticks == 68_972
    assert decision.plan.bids[-1].price_ticks == 68_845
    # a side of 2 % of 100,000 at 0.690005 a lot: 2898 lots
    assert sum(level.lots for level in decision.plan.bids) == 2_898
    assert len(decision.plan.bids) == 15


def test_a_long_position_lowers_the_quotes() -> None:
    flat, held = best(decide(make())), best(decide(make(), long(1.2)))
    assert held[0] < flat[0]
    assert held[1] < flat[1]


def test_a_short_position_raises_the_quotes() -> None:
    flat, held = best(decide(make())), best(decide(make(), long(-1.2)))
    assert held[0] > flat[0]
    assert held[1] > flat[1]


def test_paid_longs_lean_the_quotes_down() -> None:
    engine = make()
    flat = best(decide(engine))
    engine.on_funding(S, 0.001)  # longs pay 0.1 % an hour: the target is short by 0.5 %
    leaning = decide(engine)
    assert leaning.signals["target_delta"] == pytest.approx(-0.005)
    # the ask comes nearer than the bid goes, whatever the funding factor does to both
    assert leaning.fair_ticks - best(leaning)[0] > best(leaning)[1] - leaning.fair_ticks
    assert flat[0] > best(leaning)[0]


def test_heavy_bids_raise_the_quotes() -> None:
    engine, heavy = make(), make()
    book = view(S + 1)
    heavy.on_book(replace(book, bid_lots=[25_000.0] * 10))
    assert best(decide(heavy, ts_ns=S + 1))[0] > best(decide(engine, ts_ns=S + 1))[0]


def test_own_size_at_the_touch_changes_no_decision() -> None:
    clean, ours = make(), QuoteEngine(SHAPE, QuotingConfig())
    seen = view(S)
    seen.bid_lots = [20_500.0, *seen.bid_lots[1:]]
    ours.on_book(net_own(seen, {69_000: 500}, {}))
    assert decide(clean) == decide(ours)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        pytest.param("stale", "book_stale", id="no message for over two seconds"),
        pytest.param("oracle", "oracle_gap", id="oracle 1.5 % away"),
        pytest.param("thin", "illiquid", id="under 5,000 a side"),
        pytest.param("crossed", "book_crossed", id="crossed touch"),
        pytest.param("session", "session", id="outside every session"),
        pytest.param("broke", "equity", id="no equity"),
        pytest.param("small", "size", id="a side under one order"),
    ],
)
def test_what_stops_quoting_is_named_and_cancels_everything(what: str, reason: str) -> None:
    engine = make(sessions=SessionCalendar([(0, S // 2, "cash")]) if what == "session" else None)
    account, ts_ns = ACCOUNT, S
    if what == "stale":
        ts_ns = 3 * S + 1
    elif what == "oracle":
        engine.on_oracle(S, 700.5)
    elif what == "thin":
        engine.on_book(view(S, lots=700.0))
    elif what == "crossed":
        engine.on_touch(S, 69_010, 1.0, 69_001, 1.0)
    elif what == "broke":
        account = replace(ACCOUNT, equity=0.0)
    elif what == "small":
        account = replace(ACCOUNT, equity=40.0)
    decision = decide(engine, account, ts_ns=ts_ns, resting=(RestingOrder("a", 1, 68_900, 100, 0),))
    assert decision.state is QuoteState.PAUSED
    assert decision.reasons == (reason,)
    assert decision.changes == (Cancel("a"),)


def test_no_message_yet_is_no_book() -> None:
    decision = QuoteEngine(SHAPE, QuotingConfig()).decide(S, ACCOUNT, (), RICH)
    assert decision.reasons == ("no_book",)
    assert decision.changes == ()


def test_beyond_one_sided_only_the_reducing_side_is_quoted() -> None:
    decision = decide(make(), long(2.6))
    assert decision.state is QuoteState.ONE_SIDED
    assert decision.reasons == ("one_sided",)
    assert decision.plan.bids == ()
    assert decision.plan.asks[0].reduce_only


def test_beyond_the_threshold_a_reduce_only_order_rests_at_the_touch_with_the_ladder_behind() -> None:
    account = long(1.6)
    decision = decide(make(), account)
    assert decision.state is QuoteState.REBALANCING
    assert "rebalancing" in decision.notes
    touch, *ladder = decision.plan.asks
    assert (touch.price_ticks, touch.lots, touch.reduce_only) == (69_001, account.position_lots, True)
    assert all(level.price_ticks > touch.price_ticks for level in ladder)
    assert decision.plan.bids  # the other side is still quoted, further away
    assert Place(-1, 69_001, account.position_lots, -1, reduce_only=True) in decision.changes


def test_after_patience_the_part_within_the_taker_cap_is_taken() -> None:
    engine = make(QuotingConfig(rebalance=RebalanceConfig(patience_secs=10.0)))
    engine.on_fill(S, 1, 69_000, 19_000, 0.0, 0.0)  # 19,000 made: 5 % of 20,000 is 1,000
    account = long(1.6)
    decide(engine, account)
    engine.on_book(view(11 * S))
    decision = decide(engine, account, ts_ns=11 * S)
    taking = [c for c in decision.changes if isinstance(c, Place) and c.ioc]
    # one bp through the bid: 69000 - 7
    assert taking == [Place(-1, 68_993, 1_000, -1, reduce_only=True, ioc=True)]
    engine.on_book(view(12 * S))
    again = decide(engine, account, ts_ns=12 * S)
    assert not any(isinstance(c, Place) and c.ioc for c in again.changes)


def test_a_margin_ratio_at_the_pause_withdraws_the_side_that_adds() -> None:
    decision = decide(make(), replace(long(1.0), margin_ratio=0.9))
    assert decision.plan.bids == ()
    assert decision.plan.asks
    assert decision.reasons == ("margin",)


def test_reduce_only_while_flat_quotes_nothing() -> None:
    engine = make()
    engine.set_limits(RiskLimits(reduce_only=True))
    assert decide(engine).reasons == ("reduce_only",)
    assert decide(engine).plan.bids == ()
    assert decide(engine, long(1.0)).plan.asks


@pytest.mark.parametrize("position", [1, 5, 14, 15, 16, 29, 60, 300, 1_000, 2_100])
def test_reduce_only_plans_nothing_that_the_venue_refuses(position: int) -> None:
    engine = make()
    engine.set_limits(RiskLimits(reduce_only=True))
    asks = decide(engine, replace(ACCOUNT, position_lots=position)).plan.asks
    # 15 lots are the least at 690 a thousand: 10.35
    if position < 15:
        assert [(level.lots, level.reduce_only) for level in asks] == [(position, True)]
    else:
        assert all(level.lots >= 15 and not level.reduce_only for level in asks)
    assert sum(level.lots for level in asks) == position


def test_reduce_only_behind_the_touch_closes_no_more_than_there_is() -> None:
    engine = make()
    engine.set_limits(RiskLimits(reduce_only=True))
    # 2 % of the limit against a target of 0: all of it at the touch, nothing behind
    account = long(2.0)
    asks = decide(engine, account).plan.asks
    assert [(level.lots, level.reduce_only) for level in asks] == [(account.position_lots, True)]


def test_far_bids_of_a_wide_band_are_worth_the_least_order() -> None:
    # 5 % away, and twice that on the side that inventory moves away
    bands = tuple(replace(band, min_bps=100.0, max_bps=500.0) for band in QuotingConfig().spread.bands)
    spread = replace(QuotingConfig().spread, bands=bands)
    ladder = replace(QuotingConfig().ladder, size_fraction=0.0022)
    decision = decide(make(QuotingConfig(spread=spread, ladder=ladder)), long(1.4))
    assert len(decision.plan.bids) > 1
    worth = [level.lots * level.price_ticks * SHAPE.tick_lot_value for level in decision.plan.bids]
    assert min(worth) >= SHAPE.min_notional


def test_an_emptied_side_of_the_book_is_no_book() -> None:
    engine = make()
    assert decide(engine).plan.bids
    empty = view(2 * S)
    engine.on_book(BookView(empty.ts_ns, (), (), empty.ask_ticks, empty.ask_lots))
    gone = decide(engine, ts_ns=2 * S)
    assert (gone.plan.bids, gone.plan.asks, gone.reasons) == ((), (), ("no_book",))
    assert engine.touch is None
    engine.on_book(view(3 * S))
    assert decide(engine, ts_ns=3 * S).plan.bids


def test_an_emptied_book_older_than_the_touch_changes_nothing() -> None:
    engine = make()
    engine.on_touch(3 * S, 69_000, 5.0, 69_001, 5.0)
    engine.on_book(BookView(2 * S, (), (), [69_001], [5.0]))
    assert engine.touch == (69_000, 69_001)


def test_equity_that_is_no_number_stops_quoting() -> None:
    decision = decide(make(), replace(ACCOUNT, equity=float("nan")))
    assert decision.reasons == ("equity",)
    assert decision.plan.bids == ()


def test_losing_fills_widen_the_quotes() -> None:
    calm, losing = make(), make()
    for step in range(3):
        losing.on_fill(S + step, (-1) ** step, 69_000, 10, -1.0, 0.0, before=-10 * (-1) ** step)
    low = decide(calm, ts_ns=S + 5).plan.factors["min_bps"]
    assert decide(losing, ts_ns=S + 5).plan.factors["min_bps"] == pytest.approx(2.5 * low)


def test_a_higher_risk_level_widens_the_quotes() -> None:
    engine = make()
    low = decide(engine).plan.factors["min_bps"]
    engine.set_limits(RiskLimits(level="HIGH"))
    assert decide(engine).plan.factors["min_bps"] == pytest.approx(1.8 * low)


def test_a_breaker_widens_on_top_of_the_level() -> None:
    engine = make()
    low = decide(engine).plan.factors["min_bps"]
    engine.set_limits(RiskLimits(level="HIGH", widen=1.5))
    assert decide(engine).plan.factors["min_bps"] == pytest.approx(1.8 * 1.5 * low)


def test_a_reason_of_the_risk_engine_rests_nothing() -> None:
    engine = make()
    engine.set_limits(RiskLimits(stops=("drawdown",)))
    decision = decide(engine)
    assert decision.plan.bids == ()
    assert decision.plan.asks == ()
    assert decision.reasons == ("drawdown",)


def test_half_the_exposure_limit_doubles_delta_and_halves_the_sizes() -> None:
    engine = make()
    whole = decide(engine, long(0.005))
    engine.set_limits(RiskLimits(exposure_scale=0.5))
    half = decide(engine, long(0.005))
    assert half.delta == pytest.approx(2.0 * whole.delta)
    lots = [sum(level.lots for level in decision.plan.asks) for decision in (whole, half)]
    assert lots[1] == pytest.approx(lots[0] / 2, abs=15)


def test_losing_fills_move_the_mode_and_cut_levels_and_size() -> None:
    engine = make()
    for second in range(1, 6):
        engine.on_fill(second * S, 1, 69_030, 100, 0.0, 0.0)
        engine.on_fill(second * S, -1, 68_970, 100, 0.0, 0.0)  # -8.7 bp
    engine.on_book(view(100 * S))
    decision = decide(engine, ts_ns=100 * S)
    assert decision.mode == "DEFENSIVE"
    assert len(decision.plan.bids) == 6  # 15 * 0.34 = 5.1
    assert sum(level.lots for level in decision.plan.bids) == 1_449


def test_the_fast_path_asks_for_a_decision_when_the_touch_moves_far_or_through_us() -> None:
    engine = make()
    decide(engine)
    # the first level is 28.5 ticks away: half of it is 14.25
    assert not engine.on_touch(S + 1, 69_014, 9.0, 69_015, 9.0)
    assert engine.on_touch(S + 2, 69_015, 9.0, 69_016, 9.0)
    assert engine.on_touch(S + 3, 68_960, 9.0, 68_972, 9.0)


def test_a_cancel_only_budget_places_nothing() -> None:
    decision = decide(make(), long(1.6), budget=BudgetView(cancel_only=True, max_changes=0))
    assert decision.changes == ()
    assert decision.reasons == ("budget",)


def test_the_ladder_of_the_start_check_is_the_first_decisions() -> None:
    engine = make()
    plan = engine.first_ladder(10_000.0, 10.0, 69_000, 69_001)
    assert sum(level.lots for level in plan.bids) == 2_898
    with pytest.raises(ValueError, match="is crossed"):
        engine.first_ladder(10_000.0, 10.0, 69_001, 69_000)


def run(engine: QuoteEngine, *, first: int, last: int, seed: int = 3) -> list[Decision]:
    """Play a seeded market and apply each decision at once."""
    rng = random.Random(seed)
    book: dict[str, RestingOrder] = {}
    out = []
    bid = 69_000
    for second in range(1, last):
        bid += rng.randint(-6, 6)
        lots = rng.randint(10_000, 30_000)
        position = rng.randint(-2_000, 2_000)
        is_fill = rng.random() < 0.2
        if second < first:
            continue
        ts_ns = second * S
        engine.on_book(view(ts_ns, bid=bid, lots=float(lots)))
        engine.on_touch(ts_ns + 1, bid, 5_000.0, bid + 1, 9_000.0)
        engine.on_trade(ts_ns + 2, bid, 3.0, -1)
        engine.on_oracle(ts_ns + 2, bid / 100)
        if is_fill:
            engine.on_fill(ts_ns + 3, 1 if position > 0 else -1, bid, 50, -0.1, 0.01, before=-position)
        account = replace(ACCOUNT, position_lots=position)
        decision = engine.decide(ts_ns + 4, account, tuple(book.values()), RICH)
        out.append(decision)
        for change in decision.changes:
            if isinstance(change, Place) and not change.ioc:
                key = f"o{second}-{len(book)}-{change.side}-{change.level}"
                book[key] = RestingOrder(
                    key,
                    change.side,
                    change.price_ticks,
                    change.lots,
                    ts_ns,
                    change.level,
                    reduce_only=change.reduce_only,
                )
            elif isinstance(change, Modify):
                book[change.key] = replace(
                    book[change.key], price_ticks=change.price_ticks, lots=change.lots, level=change.level
                )
            elif isinstance(change, Cancel):
                del book[change.key]
    return out


@pytest.mark.parametrize("model", ["tiered", "fixed_grid", "glft"])
def test_equal_messages_make_equal_decisions(model: str) -> None:
    config = QuotingConfig(model=model)  # type: ignore[arg-type]
    assert run(QuoteEngine(SHAPE, config), first=1, last=120) == run(
        QuoteEngine(SHAPE, config), first=1, last=120
    )


@pytest.mark.parametrize("model", ["tiered", "fixed_grid", "glft"])
def test_plans_never_cross_nor_repeat_a_price_in_a_moving_market(model: str) -> None:
    for decision in run(QuoteEngine(SHAPE, QuotingConfig(model=model)), first=1, last=200):  # type: ignore[arg-type]
        bids = [level.price_ticks for level in decision.plan.bids]
        asks = [level.price_ticks for level in decision.plan.asks]
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        if bids and asks:
            assert bids[0] < asks[0]
        assert all(price <= decision.mid_ticks for price in bids)
        assert all(price >= decision.mid_ticks for price in asks)


def test_a_restart_goes_on_with_the_state_it_saved() -> None:
    config = QuotingConfig(adaptive=AdaptiveConfig(enabled=False))
    engine = QuoteEngine(SHAPE, config)
    run(engine, first=1, last=100)
    state = json.loads(json.dumps(engine.save()))
    again = QuoteEngine(SHAPE, config)
    again.load(state)
    assert again.save() == state
    for one in (engine, again):
        one.on_book(view(200 * S))
        one.on_oracle(200 * S, 690.0)
    assert decide(again, ts_ns=200 * S).plan == decide(engine, ts_ns=200 * S).plan


def test_a_quiet_market_needs_few_actions() -> None:
    engine = QuoteEngine(SHAPE, QuotingConfig(adaptive=AdaptiveConfig(enabled=False)))
    rng = random.Random(1)
    book: dict[str, RestingOrder] = {}
    sent = 0
    mid = 69_000.0
    for second in range(1, 601):
        mid += rng.gauss(0.0, 1.4)  # 0.2 bp a root second, as measured on km:US500
        engine.on_book(view(second * S, bid=int(mid)))
        decision = engine.decide(second * S, ACCOUNT, tuple(book.values()), RICH)
        sent += len(decision.changes) if second > 1 else 0
        for change in decision.changes:
            if isinstance(change, Place):
                key = f"{second}-{change.side}-{change.level}"
                book[key] = RestingOrder(
                    key, change.side, change.price_ticks, change.lots, second * S, change.level
                )
            elif isinstance(change, Modify):
                held = book[change.key]
                book[change.key] = replace(
                    held, price_ticks=change.price_ticks, lots=change.lots, level=change.level
                )
            else:
                del book[change.key]
        assert decision.state is QuoteState.QUOTING
    assert sent / 600 < 1.0
