"""A run directory says by its name whether it is whole."""

import os
from datetime import UTC
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from amm500_catalog.errors import InputError
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.rundir import RunDirectory
from amm500_nautilus.runtime.rundir import require_free


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


@pytest.mark.parametrize(
    ("out", "said"),
    [
        pytest.param("nothing/..", "already exists", id="up from nothing"),
        pytest.param("", "already exists", id="here"),
        pytest.param("link", "already exists", id="a link to nowhere"),
        pytest.param("link/run", "is no folder to write to", id="below a link to nowhere"),
        pytest.param("file/run", "Not a directory", id="below a file"),
        pytest.param("x" * 250, "File name too long", id="a name too long with its ending"),
        pytest.param("x" * 300, "File name too long", id="a name too long"),
        pytest.param("new/" + "x" * 250, "File name too long", id="a name too long in a new folder"),
        pytest.param("x" * 300 + "/run", "File name too long", id="a new folder with a name too long"),
    ],
)
def test_a_place_that_cannot_be_made_is_refused_and_nothing_is_made(
    out: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    for refuse in (require_free, RunDirectory):
        with pytest.raises(InputError, match=said):
            refuse(Path(out))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


def test_a_place_that_may_not_be_looked_into_or_written_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # for root, whom tests may run as, neither is forbidden by a folder's mode
    def denied(path: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: False)
        with pytest.raises(InputError, match="is no folder to write to"):
            require_free(tmp_path / "run")
    monkeypatch.setattr(Path, "lstat", denied)
    with pytest.raises(InputError, match=r"cannot be made \(Permission denied\)"):
        require_free(tmp_path / "run")


def test_a_path_that_goes_up_again_is_the_folder_it_comes_to(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "a" / ".." / "run")
    assert directory.finish() == tmp_path / "run"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_name_that_was_taken_meanwhile_leaves_the_run_where_it_is(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match=r"cannot be given its name.*the run is whole in .*run\.partial"):
        directory.finish()
    assert directory.path.is_dir()


def test_the_configuration_that_is_written_can_be_read_again(tmp_path: Path) -> None:
    directory = RunDirectory.named("x", tmp_path / "run")
    config = RunConfig(name="x", seed=12)
    directory.write_config(config)
    path = directory.finish() / "config.yaml"
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["seed"] == 12
    assert load_config(path) == config
