"""What users install is what the tests ran with: one version of a package in all locks."""

import re

import pytest

from tests.end_to_end.market import ROOT


LOCKS = sorted(path.stem for path in (ROOT / "requirements").glob("*.lock"))
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", flags=re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", [name for name in LOCKS if name != "dev"])
def test_a_lock_holds_the_versions_that_the_tests_run_with(name: str) -> None:
    tested = pins("dev")
    assert "nautilus-trader" in tested
    assert {package: tested.get(package, version) for package, version in pins(name).items()} == pins(name)
    assert pins(name)["nautilus-trader"] == tested["nautilus-trader"]
