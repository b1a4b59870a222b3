"""Who may let a run trade real money, and how."""

import pytest

from amm500_catalog.errors import InputError
from amm500_nautilus.runtime.node.confirm import VARIABLE
from amm500_nautilus.runtime.node.confirm import Approval
from amm500_nautilus.runtime.node.confirm import confirm
from amm500_nautilus.runtime.node.confirm import confirmation
from amm500_nautilus.runtime.node.confirm import given_beforehand


ADDRESS = "0xAbCdEf00112233445566778899aAbBcCdDeEfF01"
HASH = "0123456789abcdef" * 4
OTHER_HASH = "f" * 64
OTHER_ADDRESS = "0x" + "1" * 40


class Terminal:
    """Somebody who types one line."""

    def __init__(self, line: str | None) -> None:
        self.line = line
        self.shown: list[str] = []

    def __call__(self, text: str) -> str:
        self.shown.append(text)
        if self.line is None:
            raise EOFError
        return self.line


def confirmed(approval: Approval, config_hash: str = HASH, address: str = ADDRESS) -> str:
    return confirm(approval, address=address, config_hash=config_hash, text="what it would do")


def test_the_confirmation_names_account_and_configuration() -> None:
    assert confirmation(ADDRESS, HASH) == "eeff01:01234567"


def test_a_run_confirmed_beforehand_asks_nobody() -> None:
    terminal = Terminal("no")
    said = confirmed(Approval(environ={VARIABLE: "EEff01:01234567 "}, ask=terminal))
    assert said == f"confirmed beforehand ({VARIABLE})"
    assert terminal.shown == []


def test_a_run_whose_configuration_differs_is_not_confirmed() -> None:
    terminal = Terminal("LIVE")
    approval = Approval(environ={VARIABLE: confirmation(ADDRESS, HASH)}, confirm_live=True, ask=terminal)
    with pytest.raises(InputError, match="another account or configuration"):
        confirmed(approval, config_hash=OTHER_HASH)
    # nor may it be talked into it: it was meant to be another run
    assert terminal.shown == []


def test_a_run_for_another_account_is_not_confirmed() -> None:
    approval = Approval(environ={VARIABLE: confirmation(ADDRESS, HASH)})
    with pytest.raises(InputError, match="another account or configuration"):
        given_beforehand(approval, address=OTHER_ADDRESS, config_hash=HASH)


@pytest.mark.parametrize("said", ["", "  "])
def test_an_empty_confirmation_is_none(said: str) -> None:
    assert not given_beforehand(Approval(environ={VARIABLE: said}), address=ADDRESS, config_hash=HASH)


@pytest.mark.parametrize(
    "said", ["eeff01", ":", "eeff01:0123456", "eeff01:012345678", "LIVE", "eeff0é:01234567"]
)
def test_half_a_confirmation_is_refused(said: str) -> None:
    with pytest.raises(InputError, match=VARIABLE):
        confirmed(Approval(environ={VARIABLE: said}))


def test_typing_live_confirms_once_what_it_would_do_was_shown() -> None:
    terminal = Terminal("LIVE")
    assert confirmed(Approval(confirm_live=True, ask=terminal)) == "confirmed at the terminal"
    assert terminal.shown[0].startswith("what it would do\n")


@pytest.mark.parametrize("line", ["live", "yes", "", "LIVE!", None])
def test_anything_else_typed_refuses(line: str | None) -> None:
    with pytest.raises(InputError, match="LIVE was not typed"):
        confirmed(Approval(confirm_live=True, ask=Terminal(line)))


def test_nobody_at_the_terminal_is_nobody_who_confirms() -> None:
    with pytest.raises(InputError, match="no terminal"):
        confirmed(Approval(confirm_live=True))


def test_a_run_that_was_not_asked_to_be_confirmed_says_how() -> None:
    with pytest.raises(InputError, match=f"{VARIABLE}=eeff01:01234567"):
        confirmed(Approval(ask=Terminal("LIVE")))
