"""Twenty scenarios of faults; the whole catalog runs under make soak."""

import pytest

from tests.live.faults.catalogue import FAMILIES
from tests.live.faults.catalogue import Way
from tests.live.faults.catalogue import find
from tests.live.faults.play import play
from tests.live.faults.representative import REPRESENTATIVE
from tests.live.faults.table import jobs


pytestmark = pytest.mark.live_node


@pytest.mark.parametrize(("name", "seed"), REPRESENTATIVE)
def test_after_a_fault_the_adapter_has_what_the_venue_has(name, seed):
    outcome = play(find(name), seed)

    assert outcome.differences == ()
    assert outcome.orders > 5
    assert outcome.fills > 0


def test_at_least_200_scenarios_are_listed_and_a_quarter_runs_a_node():
    listed = jobs()
    with_node = [name for name, _ in listed if find(name).way is not Way.ENGINE]

    assert len(listed) == len(set(listed)) >= 200
    assert len(with_node) >= len(listed) / 4
    assert {family.way for family in FAMILIES} == set(Way)
    assert len(REPRESENTATIVE) == len(set(REPRESENTATIVE)) == 20
