"""Where a run keeps what outlives it, and how long it is to be."""

from pathlib import Path

from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.patterns import UNITS_S


STATE_FOLDER = Path("runs") / "state"


def state_folder(config: RunConfig) -> Path:
    """Return the folder of journal, locks and account state: ``live.state_dir``, or ``runs/state/<name>``."""
    return STATE_FOLDER / config.name if config.live.state_dir is None else Path(config.live.state_dir)


def run_seconds(config: RunConfig) -> float:
    """Return how long a run is to be, seconds; 0 where it has no end."""
    duration = config.live.duration
    return 0.0 if duration is None else float(duration[:-1]) * UNITS_S[duration[-1]]
