"""Progress: a bar on a terminal, plain lines in a log, nothing when asked to be quiet."""

import sys
import time
from datetime import UTC
from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn
from rich.progress import Progress as RichProgress
from rich.progress import TextColumn
from rich.progress import TimeElapsedColumn
from rich.progress import TimeRemainingColumn


LINE_EVERY_SECONDS = 10.0


class Progress:
    """
    Show how far a long job is.

    Call it with a share from 0 to 1 and a word on what is being done; it may be handed to any room that reports progress.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True)
        self._bar: RichProgress | None = None
        self._task: int | None = None
        self._last_line = 0.0
        self._label = ""
        self.lines: list[str] = []

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, share: float, label: str) -> None:
        """Report that ``share`` of ``label`` is done."""
        if label != self._label:
            self._note(f"{label} began")
        if self._quiet:
            self._label = label
        elif self._bar is not None:
            if self._task is None or label != self._label:
                if self._task is not None:
                    self._bar.remove_task(self._task)  # type: ignore[arg-type]
                self._task = self._bar.add_task(label, total=1.0)
            self._bar.update(self._task, completed=share)  # type: ignore[arg-type]
        else:
            now = time.monotonic()
            if label != self._label or now - self._last_line >= LINE_EVERY_SECONDS:
                self._last_line = now
                self._print(f"{label}: {share:.0%}")
        self._label = label

    def say(self, text: str) -> None:
        """Print one plain line beside the bar, and keep it for the log."""
        self._note(text)
        self._print(text)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing of what is said is printed."""
        return self._quiet

    def ask(self, text: str) -> str:
        """Ask at the terminal, with the bar out of the way, and return the line."""
        if self._bar is not None:
            self._bar.stop()
        try:
            return input(text)
        finally:
            if self._bar is not None:
                self._bar.start()

    def _note(self, text: str) -> None:
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        self.lines.append(f"{stamp} {text}")

    def _print(self, text: str) -> None:
        if not self._quiet:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)
