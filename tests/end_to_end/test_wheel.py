"""What is shipped: four import packages and nothing beside them."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.end_to_end.market import ROOT


IMPORTED = {"amm500_nautilus", "amm500_catalog", "hyperliquid_hip3", "hyperliquid_loopback"}


def test_the_build_is_told_of_exactly_four_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {Path(package).name for package in packages} == IMPORTED
    assert len(packages) == 4
    assert all((ROOT / package / "py.typed").is_file() for package in packages)


def test_the_wheel_holds_exactly_four_import_names(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uv", "build", "--wheel", "--offline", "--out-dir", str(tmp_path), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"the build back end is not in the local cache: {done.stderr.strip().splitlines()[-1]}")
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == IMPORTED
    assert not [name for name in names if "tests" in name.split("/") or name.endswith(".parquet")]
