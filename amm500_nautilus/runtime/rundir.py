"""The run directory: written under a name that says unfinished, renamed when it is whole."""

from datetime import UTC
from datetime import datetime
from pathlib import Path

import yaml

from amm500_catalog.errors import InputError
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import to_plain


PARTIAL = ".partial"


def require_free(final: Path) -> None:
    """
    Refuse a place that is taken, before a run's long work.

    Raises
    ------
    InputError
        When something stands there.

    """
    if final.exists():
        raise InputError("already exists", str(final), "a new folder")
    partial = final.with_name(final.name + PARTIAL)
    if partial.exists():
        raise InputError("an unfinished run is there", str(partial), "remove it, or choose another --out")


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
        self.final = final
        self.path = final.with_name(final.name + PARTIAL)
        try:
            self.path.mkdir(parents=True, exist_ok=False)
        except FileExistsError as error:
            raise InputError(
                "an unfinished run is there", str(self.path), "remove it, or choose another --out"
            ) from error
        except OSError as error:
            raise InputError(
                f"cannot be made ({error.strerror})", str(self.path), "a writable place"
            ) from error

    @classmethod
    def named(cls, name: str, out: Path | None, now: datetime | None = None) -> "RunDirectory":
        """Return ``out``, or ``runs/<name>-<utc>`` with a counter when two runs start in one second."""
        if out is not None:
            return cls(out)
        stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
        base = Path("runs") / f"{name}-{stamp}"
        final, counter = base, 1
        while final.exists() or final.with_name(final.name + PARTIAL).exists():
            counter += 1
            final = base.with_name(f"{base.name}-{counter}")
        return cls(final)

    def write_config(self, config: RunConfig) -> None:
        """Write the resolved configuration."""
        text = yaml.safe_dump(to_plain(config), sort_keys=False, allow_unicode=True)
        (self.path / "config.yaml").write_text(text, encoding="utf-8")

    def write_log(self, lines: list[str]) -> None:
        """Write what the run said, a line each."""
        (self.path / "run.log").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def finish(self) -> Path:
        """Give the directory its final name and return it."""
        self.path.rename(self.final)
        return self.final
