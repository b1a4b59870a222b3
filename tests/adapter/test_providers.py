"""The instruments that were asked for, as the venue describes them, and what changes of them."""

import asyncio
from decimal import Decimal

import pytest
from nautilus_trader.common.config import InstrumentProviderConfig
from nautilus_trader.model.identifiers import InstrumentId

from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.instruments import instrument_id
from hyperliquid_hip3.precision import price_decimals
from hyperliquid_hip3.providers import HyperliquidInstrumentProvider
from hyperliquid_hip3.providers import coin_of
from hyperliquid_hip3.providers import level_of
from hyperliquid_hip3.providers import tick_level
from hyperliquid_hip3.records import DexMeta
from tests.adapter.data_fakes import SP500
from tests.adapter.data_fakes import US500
from tests.adapter.data_fakes import FakeVenueClient
from tests.adapter.data_fakes import context
from tests.adapter.data_fakes import entry


D = Decimal


def loaded(client, *coins, dex="km", config=None):
    provider = HyperliquidInstrumentProvider(client, config, now_ns=lambda: 7)
    if coins or config is None:
        provider.want(dex, coins)
    asyncio.run(provider.initialize())
    return provider


def refreshed(provider):
    return asyncio.run(provider.refresh())


def test_d01_a_whole_dex_is_loaded_with_delisted_coins_marked():
    provider = loaded(FakeVenueClient())

    assert [i.raw_symbol.value for i in provider.list_all()] == [US500, "km:OLD"]
    assert provider.find_coin("km:OLD").info["is_delisted"] is True
    assert provider.find_coin(US500).info["is_delisted"] is False


def test_d02_one_instrument_has_the_facts_of_meta():
    instrument = loaded(FakeVenueClient(), US500).find_coin(US500)

    assert str(instrument.id) == "km:US500-USD-PERP.HYPERLIQUID"
    assert str(instrument.quote_currency) == "USDH"
    assert str(instrument.settlement_currency) == "USDH"
    assert str(instrument.price_increment) == "0.01"
    assert str(instrument.size_increment) == "0.001"
    assert instrument.margin_init == D("0.04")
    # tier 0 in growth mode with a deployer scale of 1
    assert instrument.maker_fee == D("0.00003")
    assert instrument.taker_fee == D("0.00009")
    assert instrument.info["asset_id"] == 150_000
    assert instrument.ts_init == 7


def test_only_what_was_asked_for_is_read_of_two_hundred_dexes():
    client = FakeVenueClient()

    provider = loaded(client, US500)

    assert provider.count == 1
    assert [asked for asked in client.asked if asked.startswith("meta")] == ["meta km"]


def test_coins_of_several_dexes_have_each_their_own_collateral_and_number():
    provider = loaded(FakeVenueClient(), US500, SP500)

    assert str(provider.find_coin(SP500).quote_currency) == "USDC"
    assert provider.asset_id(SP500) == 110_001
    assert provider.asset_id(US500) == 150_000
    assert provider.dex("km").collateral.name == "USDH"


def test_the_collateral_is_what_meta_says_today():
    client = FakeVenueClient()
    client.metas["km"] = DexMeta(client.metas["km"].universe, 235, client.metas["km"].margin_tables)

    assert str(loaded(client, US500).find_coin(US500).quote_currency) == "USDE"


def test_a_collateral_token_that_is_unknown_is_an_error_and_no_guess():
    client = FakeVenueClient()
    client.metas["km"] = DexMeta(client.metas["km"].universe, 999, {})

    with pytest.raises(PayloadError, match="999"):
        loaded(client, US500)


def test_the_validator_dex_is_the_one_without_a_name():
    provider = loaded(FakeVenueClient(), "BTC", dex="")

    assert provider.asset_id("BTC") == 0
    assert provider.find_coin("BTC").maker_fee == D("0.00015")


def test_a_dex_or_coin_that_does_not_exist_is_named_with_what_there_is():
    with pytest.raises(ValueError, match=r"`dex` was 'nope', must be one of '', 'd10'.* more"):
        loaded(FakeVenueClient(), "nope:X")
    with pytest.raises(ValueError, match="`coin` was 'km:NOPE', must be one of 'km:US500', 'km:OLD'"):
        loaded(FakeVenueClient(), "km:NOPE")


def test_a_venue_that_does_not_answer_raises_and_leaves_nothing_loaded():
    client = FakeVenueClient()
    client.is_down = True
    provider = HyperliquidInstrumentProvider(client)
    provider.want("km", (US500,))

    with pytest.raises(TransportError):
        asyncio.run(provider.initialize())
    assert provider.count == 0
    client.is_down = False
    asyncio.run(provider.initialize())
    assert provider.count == 1


def test_load_ids_of_the_node_are_loaded_alone():
    config = InstrumentProviderConfig(load_ids=frozenset([instrument_id(SP500)]))
    client = FakeVenueClient()

    provider = loaded(client, config=config)

    assert [i.raw_symbol.value for i in provider.list_all()] == [SP500]
    assert "meta km" not in client.asked


def test_a_second_client_adds_what_it_wants_and_the_first_loading_is_kept():
    client = FakeVenueClient()
    provider = loaded(client, US500)

    provider.want("xyz", (SP500,))
    asyncio.run(provider.initialize())

    assert {i.raw_symbol.value for i in provider.list_all()} == {US500, SP500}


def test_wanting_the_same_again_reads_nothing_again():
    client = FakeVenueClient()
    provider = loaded(client, US500)
    asked = len(client.asked)

    provider.want("km", (US500,))
    asyncio.run(provider.initialize())

    assert len(client.asked) == asked


def test_one_instrument_can_be_loaded_later_and_a_known_one_is_not_asked_for():
    client = FakeVenueClient()
    provider = loaded(client, US500)

    asyncio.run(provider.load_async(instrument_id(SP500)))
    asked = len(client.asked)
    asyncio.run(provider.load_async(instrument_id(US500)))

    assert provider.find_coin(SP500) is not None
    assert len(client.asked) == asked


@pytest.mark.parametrize(
    ("price", "decimals", "tick"),
    [
        ("690", None, 2),
        ("994.9", None, 2),
        # a ladder half a percent wide reaches over the power of ten, where the finer tick is no price
        ("995", None, 1),
        ("1000", None, 1),
        ("1200", None, 1),
        # once coarse, it stays so until one percent below
        ("992", 1, 1),
        ("989", 1, 2),
        ("992", 2, 2),
        ("9990", None, 0),
        ("50", None, 3),
        ("12345", None, 0),
    ],
)
def test_the_tick_at_a_power_of_ten_is_valid_on_both_sides_and_does_not_flicker(price, decimals, tick):
    provider_client = FakeVenueClient()
    provider_client.contexts["km"] = (context(US500, price), provider_client.contexts["km"][1])
    level = tick_level(D(price), 3, decimals)

    assert price_decimals(level, 3) == tick
    if decimals is None:
        assert loaded(provider_client, US500).find_coin(US500).price_precision == tick


def test_a_price_that_left_its_ticks_range_makes_the_tick_due():
    provider = loaded(FakeVenueClient(), US500)

    assert not provider.is_tick_due(US500, D("760"))
    assert provider.is_tick_due(US500, D("1001"))
    assert provider.is_tick_due(US500, D("98"))
    assert not provider.is_tick_due("km:NONE", D("98"))


def test_the_level_is_the_mid_else_the_mark_else_the_oracle():
    assert level_of(context(US500, "10", mark_price=D(11))) == D(10)
    assert level_of(context(US500, None, mark_price=D(11))) == D(11)
    assert level_of(context(US500, None, mark_price=D(0), oracle_price=D(12))) == D(12)
    assert level_of(None) is None


def change_growth(client):
    client.metas["km"] = DexMeta(
        (entry(0, US500, growth_mode=False), client.metas["km"].universe[1]), 360, {}
    )


def change_leverage(client):
    client.metas["km"] = DexMeta(
        (entry(0, US500, max_leverage=20, margin_table_id=20), client.metas["km"].universe[1]), 360, {}
    )


def change_listing(client):
    client.metas["km"] = DexMeta((entry(0, US500, is_delisted=True), client.metas["km"].universe[1]), 360, {})


def change_fee_scale(client):
    client.metas["km"] = DexMeta(
        (entry(0, US500, deployer_fee_scale=D("0.5")), client.metas["km"].universe[1]), 360, {}
    )


def change_margin_mode(client):
    client.metas["km"] = DexMeta(
        (entry(0, US500, margin_mode="strictIsolated"), client.metas["km"].universe[1]), 360, {}
    )


def change_tick(client):
    client.contexts["km"] = (context(US500, "1000.5"), client.contexts["km"][1])


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (change_growth, {"growth_mode", "maker_fee", "taker_fee"}),
        (change_leverage, {"max_leverage", "margin_init", "margin_maint", "margin_tiers"}),
        (change_listing, {"is_delisted"}),
        (change_fee_scale, {"deployer_fee_scale", "maker_fee", "taker_fee"}),
        (change_margin_mode, {"margin_modes"}),
        (change_tick, {"price_increment"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_drift_of_meta_makes_a_new_instrument_and_tells_the_listeners(change, fields):
    client = FakeVenueClient()
    provider = loaded(client, US500)
    heard = []
    provider.on_change(heard.append)
    old = provider.find_coin(US500)

    change(client)
    changes = refreshed(provider)

    assert heard == list(changes)
    assert len(changes) == 1
    assert changes[0].coin == US500
    assert changes[0].old is old
    assert changes[0].new is provider.find_coin(US500)
    assert set(changes[0].fields) == fields
    assert US500 in str(changes[0])


def test_nothing_is_told_when_nothing_changed():
    client = FakeVenueClient()
    provider = loaded(client, US500)
    heard = []
    provider.on_change(heard.append)
    # a price that moves inside its tick's range is no drift
    client.contexts["km"] = (context(US500, "760"), client.contexts["km"][1])

    assert refreshed(provider) == ()
    assert heard == []


def test_a_fee_scale_of_the_whole_dex_is_read_again_too():
    client = FakeVenueClient()
    provider = loaded(client, US500)
    client.dexes = tuple(
        dex if dex.name != "km" else type(dex)(5, "km", "Kinetiq", "0x5", D("0.5")) for dex in client.dexes
    )

    (change,) = refreshed(provider)

    assert change.fields["deployer_fee_scale"] == ("1.0", "0.5")


def test_a_refresh_without_an_answer_changes_nothing():
    client = FakeVenueClient()
    provider = loaded(client, US500)
    old = provider.find_coin(US500)
    client.is_down = True

    with pytest.raises(TransportError):
        refreshed(provider)
    assert provider.find_coin(US500) is old


def test_a_listener_that_left_hears_nothing():
    client = FakeVenueClient()
    provider = loaded(client, US500)
    heard = []
    provider.on_change(heard.append)
    provider.off_change(heard.append)
    change_growth(client)

    assert len(refreshed(provider)) == 1
    assert heard == []


def test_a_market_without_any_price_keeps_its_tick():
    client = FakeVenueClient()
    provider = loaded(client, US500)
    nothing = context(US500, None, mark_price=D(0), oracle_price=D(0), previous_day_price=D(0))
    client.contexts["km"] = (nothing, client.contexts["km"][1])

    assert refreshed(provider) == ()
    assert str(provider.find_coin(US500).price_increment) == "0.01"


def test_an_id_and_its_coin_belong_together():
    assert coin_of(instrument_id(US500)) == US500
    with pytest.raises(ValueError, match=r"must be like km:US500-USD-PERP\.HYPERLIQUID"):
        coin_of(InstrumentId.from_str("ES.CME"))
