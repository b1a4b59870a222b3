"""The adapter knows nothing of the strategy: it listens and speaks where the strategy does by its defaults alone."""

from amm500_nautilus import topics
from hyperliquid_hip3 import notices
from hyperliquid_hip3.config import HyperliquidExecClientConfig


def test_the_adapter_s_defaults_are_the_strategy_s_topics() -> None:
    config = HyperliquidExecClientConfig(user="0x" + "5a" * 20, key_source="environment", state_dir="unused")
    found = (config.cycle_topic, config.leverage_topic, config.weight_topic, config.weight_answer_topic)
    assert found == (topics.CYCLE_END, topics.LEVERAGE, topics.WEIGHT, topics.WEIGHT_ANSWER)
    assert topics.CLIENT_ACTION == notices.ACTION_TOPIC
