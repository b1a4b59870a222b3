"""Every scenario of faults, and the document that the command wrote of them."""

from pathlib import Path

import pytest

from tests.live.faults.representative import REPRESENTATIVE
from tests.live.faults.table import jobs
from tests.live.faults.table import outcomes
from tests.live.faults.table import render


DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "faults.md"


@pytest.mark.soak
@pytest.mark.live_node
@pytest.mark.timeout(3_600)
def test_no_fault_of_the_catalog_leaves_a_difference():
    found = list(outcomes(jobs()))

    assert {(row.name, row.seed): row.differences for row in found if row.differences} == {}
    assert render(found, few=len(REPRESENTATIVE)) == DOCUMENT.read_text(), (
        "docs/faults.md is not of this catalog: run `python -m tests.live.faults`"
    )
