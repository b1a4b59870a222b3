"""``amm500 verify``: the gates of the phases from backtest to live, over the runs that are named or found."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from amm500_catalog.errors import InputError
from amm500_nautilus.report.analysis import Check
from amm500_nautilus.report.analysis import Evidence
from amm500_nautilus.report.analysis_gates import BACKTEST
from amm500_nautilus.report.analysis_gates import LIVE
from amm500_nautilus.report.analysis_gates import PAPER
from amm500_nautilus.report.analysis_gates import PHASES
from amm500_nautilus.report.analysis_gates import Setting
from amm500_nautilus.report.analysis_gates import gate_checks
from amm500_nautilus.report.analysis_gates import phase_of
from amm500_nautilus.report.analysis_gates import target_checks
from amm500_nautilus.research.gates import FEWEST_DAYS
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.exits import FAILED
from amm500_nautilus.runtime.operate.analyze import checks_table
from amm500_nautilus.runtime.operate.analyze import moment
from amm500_nautilus.runtime.operate.evidence import gather
from amm500_nautilus.runtime.rundir import PARTIAL
from amm500_nautilus.runtime.strategy_hash import strategy_hash


MONTE_CARLO = "montecarlo.json"
GATE_LEVERAGE = 25
YAML = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One run that speaks for a phase."""

    path: Path
    phase: int
    evidence: Evidence
    setting: Setting


def verify(args: argparse.Namespace) -> int:
    """
    Print each phase's gate; 0 when every phase that is asked for holds, 1 when one does not or nothing speaks for it.

    Without ``--phase`` the phases are those that the named runs speak for, and for a run file the two before real money.
    """
    runs = [path for path in args.paths if path.suffix not in YAML]
    files = [path for path in args.paths if path.suffix in YAML]
    found = [candidate_of(path) for path in runs]
    for path in files:
        found += look_up(load_config(path), args.runs)
    wanted = {args.phase} if args.phase else {one.phase for one in found if one.path in runs}
    if files and not args.phase:
        wanted |= {BACKTEST, PAPER}
    newest = {phase: _newest(found, phase) for phase in sorted(wanted)}
    results = [judged(phase, candidate) for phase, candidate in newest.items()]
    if args.json:
        print(json.dumps({"pass": all(one["pass"] for one in results), "phases": results}))
    else:
        for phase, candidate in newest.items():
            show(phase, candidate)
    is_met = True
    if args.targets:
        held = [
            check.passed is True for one in newest.values() if one for check in target_checks(one.evidence)
        ]
        is_met = bool(held) and all(held)
    return DONE if is_met and results and all(one["pass"] for one in results) else FAILED


def _newest(found: list[Candidate], phase: int) -> Candidate | None:
    of_phase = [one for one in found if one.phase == phase]
    return max(of_phase, key=lambda one: one.evidence.end_ns) if of_phase else None


def candidate_of(path: Path) -> Candidate:
    """
    Return what a run directory, state folder or journal has to say.

    Raises
    ------
    InputError
        If there is nothing there, or the run's mode speaks for no phase.

    """
    evidence = gather(path)
    phase = phase_of(evidence.mode)
    if phase is None:
        modes = "backtest, paper or live"
        raise InputError(
            f"is a {evidence.mode} run, which speaks for no phase", str(path), f"a run of mode {modes}"
        )
    return Candidate(path, phase, evidence, setting_of(path, evidence))


def setting_of(path: Path, evidence: Evidence) -> Setting:
    """Return what a run's own files say of leverage, capital and the Monte Carlo."""
    config = _config_of(path)
    leverages = evidence.leverage[evidence.leverage == evidence.leverage]
    reported = float(leverages.max()) if len(leverages) else None
    if config is None:
        return Setting(leverage=reported, liquidation_probability=monte_carlo(path))
    return Setting(
        leverage=config.account.leverage if reported is None else max(reported, config.account.leverage),
        capital=config.live.max_equity_used,
        liquidation_probability=monte_carlo(path),
    )


def _config_of(path: Path) -> RunConfig | None:
    for folder in (path, path.with_name(path.name + PARTIAL)):
        if (folder / "config.yaml").is_file():
            try:
                return load_config(folder / "config.yaml")
            except InputError:
                return None
    return None


def monte_carlo(path: Path) -> float | None:
    """
    Return the upper end of the liquidation probability's interval at 25x, as ``amm500 montecarlo`` wrote it beside the run.

    None without one, where it was drawn from another result than the one that lies there, and where its paths are too short.
    """
    try:
        written = json.loads((path / MONTE_CARLO).read_text(encoding="utf-8"))
        summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
        if written["run"]["result_hash"] != summary["result_hash"]:
            return None
        if float(written["request"]["days"]) < FEWEST_DAYS:
            return None
        found = [row for row in written["levels"] if row["leverage"] == GATE_LEVERAGE]
        return float(found[0]["upper"]) if found else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def look_up(config: RunConfig, folder: Path) -> list[Candidate]:
    """Return the runs of the same strategy in a folder, and its state folder's journal; what cannot be read is passed over."""
    places = sorted(folder.iterdir()) if folder.is_dir() else []
    if config.mode in ("paper", "live"):
        places.append(Path(config.live.state_dir or folder / "state" / config.name))
    found = []
    for path in places:
        if path.name.endswith(PARTIAL) or not path.is_dir():
            continue
        theirs = _config_of(path)
        is_journal = theirs is None and path == places[-1] and (path / "monitor").is_dir()
        if not is_journal and (theirs is None or not same_strategy(config, theirs)):
            continue
        try:
            candidate = candidate_of(path)
        except InputError:
            continue
        # a journal says itself whose it is: the run file of its name may have been changed since
        if not is_journal or candidate.evidence.strategy == strategy_hash(config):
            found.append(candidate)
    return found


def same_strategy(ours: RunConfig, theirs: RunConfig) -> bool:
    """Return whether two run files are of one strategy; a backtest may be stressed at another leverage."""
    if theirs.mode == "backtest":
        account = theirs.account.model_copy(
            update={"leverage": ours.account.leverage, "margin_mode": ours.account.margin_mode}
        )
        theirs = theirs.model_copy(update={"account": account})
    return strategy_hash(ours) == strategy_hash(theirs)


def judged(phase: int, candidate: Candidate | None) -> dict[str, Any]:
    """Return a phase's result as JSON carries it."""
    if candidate is None:
        return {"phase": phase, "name": PHASES[phase], "run": None, "pass": False, "checks": []}
    checks = gate_checks(phase, candidate.evidence, candidate.setting)
    return {
        "phase": phase,
        "name": PHASES[phase],
        "run": str(candidate.path),
        "pass": holds(checks),
        "checks": [check.as_json() for check in checks],
        "targets": [check.as_json() for check in target_checks(candidate.evidence)],
    }


def holds(checks: tuple[Check, ...]) -> bool:
    """Return whether a gate is open: what cannot be known keeps it shut."""
    return all(check.passed is True for check in checks)


def show(phase: int, candidate: Candidate | None) -> None:
    """Print a phase's gate."""
    console = Console(soft_wrap=True)
    if candidate is None:
        console.print(Text(f"phase {phase}, {PHASES[phase]}: no run speaks for it", "bold yellow"))
        return
    evidence = candidate.evidence
    checks = gate_checks(phase, evidence, candidate.setting)
    label = "SIMULATED DATA" if evidence.simulated else "market as the venue sent it"
    console.print(
        Text(
            f"phase {phase}, {PHASES[phase]}: {candidate.path} ({label}; {evidence.market}, "
            f"{moment(evidence.start_ns)} to {moment(evidence.end_ns)})",
            "bold",
        )
    )
    console.print(checks_table("gate", checks))
    console.print(checks_table("targets of the earlier bot", target_checks(evidence)))
    word, style = ("holds", "bold green") if holds(checks) else ("does not hold", "bold red")
    console.print(f"phase {phase}: {word}", style=style)


__all__ = ["LIVE", "Candidate", "candidate_of", "look_up", "monte_carlo", "same_strategy", "verify"]
