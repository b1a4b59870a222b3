"""What makes two runs runs of the same strategy: its whole configuration and the leverage, and nothing of where or how long."""

import hashlib
import json
from pathlib import Path

from amm500_catalog.errors import InputError
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.rundir import PARTIAL


def strategy_hash(config: RunConfig) -> str:
    """Return the digest of a run file's strategy, with the account's leverage and margin mode."""
    plain = config.model_dump(mode="json", include={"strategy": True, "account": {"leverage", "margin_mode"}})
    text = json.dumps(plain, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_beside(path: Path) -> str | None:
    """Return the strategy's digest of a run directory's ``config.yaml``; None where there is none that can be read."""
    for folder in (path, path.with_name(path.name + PARTIAL), path.parent, path.parent.parent):
        if (folder / "config.yaml").is_file():
            try:
                return strategy_hash(load_config(folder / "config.yaml"))
            except InputError:
                return None
    return None
