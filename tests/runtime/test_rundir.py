"""A run directory says by its name whether it is whole."""

from datetime import UTC
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from amm500_catalog.errors import InputError
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.rundir import RunDirectory


NOW = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)


def test_a_directory_is_unfinished_until_it_is_finished(tmp_path: Path) -> None:
    directory = RunDirectory.named("x", tmp_path / "run")
    assert directory.path == tmp_path / "run.partial"
    assert not (tmp_path / "run").exists()
    assert directory.finish() == tmp_path / "run"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_two_runs_of_one_second_get_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = []
    for finished in (True, False, True):
        directory = RunDirectory.named("x", None, NOW)
        names.append(directory.final.name)
        if finished:
            directory.finish()
    assert names == ["x-20260105T143000Z", "x-20260105T143000Z-2", "x-20260105T143000Z-3"]


@pytest.mark.parametrize("taken", ["run", "run.partial"])
def test_a_place_that_is_taken_is_refused(taken: str, tmp_path: Path) -> None:
    (tmp_path / taken).mkdir()
    with pytest.raises(InputError, match=r"already exists|an unfinished run is there"):
        RunDirectory.named("x", tmp_path / "run")


def test_a_place_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        RunDirectory.named("x", tmp_path / "file" / "run")


def test_the_configuration_that_is_written_can_be_read_again(tmp_path: Path) -> None:
    directory = RunDirectory.named("x", tmp_path / "run")
    config = RunConfig(name="x", seed=12)
    directory.write_config(config)
    path = directory.finish() / "config.yaml"
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["seed"] == 12
    assert load_config(path) == config
