"""The run directory: written under a name that says unfinished, renamed when it is whole."""

import os
from datetime import UTC
from datetime import datetime
from pathlib import Path

import yaml

from amm500_catalog.errors import InputError
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import to_plain


PARTIAL = ".partial"
WRITABLE = "a writable place"


def require_free(final: Path) -> None:
    """
    Refuse a place that is taken or where nothing can be made, before a run's long work.

    Raises
    ------
    InputError
        When something stands there, be it a link to nowhere, a name is too long, or the folder may not be written to.

    """
    final = _spelled_out(final)
    if _stands(final):
        raise InputError("already exists", str(final), "a new folder")
    partial = final.with_name(final.name + PARTIAL)
    if _stands(partial):
        raise InputError("an unfinished run is there", str(partial), "remove it, or choose another --out")
    home = next(folder for folder in final.parents if _stands(folder))
    if not os.access(home, os.W_OK | os.X_OK) or not home.is_dir():
        raise InputError(f"cannot be made ({home} is no folder to write to)", str(final), WRITABLE)
    for folder in (partial, *final.parents):
        if folder == home:
            break
        # below a folder that is not there yet, a name too long is not seen by looking for it
        _stands(home / folder.name)


def place_of(name: str, out: Path | None, now: datetime | None = None) -> Path:
    """
    Return ``out``, or ``runs/<name>-<utc>`` with a counter when two runs start in one second.

    Raises
    ------
    InputError
        When ``runs`` is no folder, or may not be looked into.

    """
    if out is not None:
        return out
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    base = Path("runs") / f"{name}-{stamp}"
    final, counter = base, 1
    while _stands(final) or _stands(final.with_name(final.name + PARTIAL)):
        counter += 1
        final = base.with_name(f"{base.name}-{counter}")
    return final


def _spelled_out(path: Path) -> Path:
    """Return a path with a name of its own: one with ``..`` in it, or none at all, is another folder than it reads."""
    return path if path.name and ".." not in path.parts else Path(os.path.realpath(path))


def _stands(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise InputError(f"cannot be made ({error.strerror})", str(path), WRITABLE) from error
    return True


class RunDirectory:
    """
    A place for one run's files.

    Parameters
    ----------
    final : Path
        Where the finished directory will stand; it must not exist yet.

    Raises
    ------
    InputError
        When the place is taken or cannot be made.

    """

    def __init__(self, final: Path) -> None:
        require_free(final)
        self.final = _spelled_out(final)
        self.path = self.final.with_name(self.final.name + PARTIAL)
        try:
            self.path.mkdir(parents=True, exist_ok=False)
        except FileExistsError as error:
            raise InputError(
                "an unfinished run is there", str(self.path), "remove it, or choose another --out"
            ) from error
        except OSError as error:
            raise InputError(f"cannot be made ({error.strerror})", str(self.path), WRITABLE) from error

    @classmethod
    def named(cls, name: str, out: Path | None, now: datetime | None = None) -> "RunDirectory":
        """Return the directory at ``place_of``."""
        return cls(place_of(name, out, now))

    def write_config(self, config: RunConfig) -> None:
        """Write the resolved configuration."""
        text = yaml.safe_dump(to_plain(config), sort_keys=False, allow_unicode=True)
        (self.path / "config.yaml").write_text(text, encoding="utf-8")

    def write_log(self, lines: list[str]) -> None:
        """Write what the run said, a line each."""
        (self.path / "run.log").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def finish(self) -> Path:
        """
        Give the directory its final name and return it.

        Raises
        ------
        InputError
            When something else has taken the name since; the run keeps its unfinished one.

        """
        try:
            self.path.rename(self.final)
        except OSError as error:
            raise InputError(
                f"cannot be given its name ({error.strerror}); the run is whole in {self.path}",
                str(self.final),
                "a name that stays free",
            ) from error
        return self.final
