"""The topics of the engine's message bus by which the strategy and those around it talk."""

DECISION = "amm500.decision"
ACTION = "amm500.action"
RISK = "amm500.risk"
# the number of actions to buy: whoever carries our actions to the venue listens, and answers with it and "bought", "refused" or "unknown"
WEIGHT = "amm500.reserve_weight"
WEIGHT_ANSWER = "amm500.weight_answer"
LEVERAGE = "amm500.leverage"
# how many submits, modifies and cancels have just been sent: whoever carries them can send them as one action of each kind
CYCLE_END = "amm500.cycle_end"
# the type of each action that whoever carries ours has sent by itself: the venue counts it like one of ours
CLIENT_ACTION = "hyperliquid.action"
