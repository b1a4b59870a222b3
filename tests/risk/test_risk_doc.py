"""The table of docs/risk.md is the one that the code acts on."""

from pathlib import Path

from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.reasons import ReasonRule
from amm500_nautilus.risk.reasons import reason_table
from amm500_nautilus.risk.types import Act


DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "risk.md"
ACTS = {
    Act.NONE: "leave what rests",
    Act.CANCEL_INCREASING: "cancel what increases exposure",
    Act.CANCEL_OWN: "cancel own orders",
    Act.CANCEL_ALL: "cancel all",
    Act.FLATTEN: "cancel all on the dex, flatten reduce-only",
}


def row(rule: ReasonRule) -> str:
    act = ("widen, then " if rule.widens else "") + ACTS[rule.act]
    state = rule.state.value + (", latched" if rule.latched else "") + (", alert" if rule.alert else "")
    return f"| `{rule.name}` | {rule.trigger} | {act} | {state} | {rule.ends} |"


def test_the_document_shows_every_reason_as_the_code_has_it() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    shown = text.partition("<!-- reasons -->")[2].partition("<!-- /reasons -->")[0].strip().splitlines()[2:]
    assert shown == [row(rule) for rule in reason_table(RiskConfig())]
