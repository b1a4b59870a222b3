"""Which trial comes next: a grid in order, or an Optuna study asked and told."""

import warnings
from typing import Any
from typing import Protocol

from amm500_catalog.errors import InputError
from amm500_nautilus.research.space import Parameter
from amm500_nautilus.research.space import grid
from amm500_nautilus.runtime.sweep.config import SweepSection
from amm500_nautilus.runtime.sweep.state import DONE
from amm500_nautilus.runtime.sweep.state import ENDED
from amm500_nautilus.runtime.sweep.state import FAILED
from amm500_nautilus.runtime.sweep.state import PRUNED
from amm500_nautilus.runtime.sweep.state import RUNNING
from amm500_nautilus.runtime.sweep.state import WAITING
from amm500_nautilus.runtime.sweep.state import SweepState
from amm500_nautilus.runtime.sweep.state import Trial


class Search(Protocol):
    """Asked for the next trial, told what came of it."""

    total: int

    def next(self) -> Trial | None:
        """Return a trial that nobody has run yet; None when there is none now."""
        ...

    def tell(self, trial: Trial, value: float | None) -> None:
        """Hear what came of a trial; no value when it failed or was stopped."""
        ...


class GridSearch:
    """Every combination, in order."""

    def __init__(self, section: SweepSection, state: SweepState) -> None:
        self._state = state
        if not state.trials:
            for number, point in enumerate(grid(section.space()), start=1):
                state.trials.append(Trial(number=number, labels=dict(point.labels)))
        self.total = len(state.trials)

    def next(self) -> Trial | None:
        """Return the first trial that waits."""
        return next((trial for trial in self._state.trials if trial.state == WAITING), None)

    def tell(self, trial: Trial, value: float | None) -> None:
        """Do nothing: a grid does not learn."""


class OptunaSearch:
    """
    Optuna's tree-structured Parzen estimator over the same space.

    What an earlier process learned is told to a new study from the sweep's own state; the sampler's seed then moves on, so that the
    random first trials are not drawn twice. With several workers the order of arrival, and so the study, is not reproducible; each of
    its trials is.
    """

    def __init__(self, section: SweepSection, state: SweepState, values: dict[int, float | None]) -> None:
        self._optuna = optuna = import_optuna()
        self._space = section.space()
        self._state = state
        self.total = section.trials
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=section.seed + len(state.trials))
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._asked: dict[int, Any] = {}
        for trial in state.trials:
            if trial.state in ENDED:
                self._study.add_trial(self._frozen(trial, values.get(trial.number)))

    def _distributions(self) -> dict[str, Any]:
        return {parameter.name: self._distribution(parameter) for parameter in self._space}

    def _distribution(self, parameter: Parameter) -> Any:
        kinds = self._optuna.distributions
        if parameter.choices:
            # by place: a label may be anything
            return kinds.CategoricalDistribution(tuple(range(len(parameter.choices))))
        low, high = parameter.low, parameter.high
        assert low is not None  # noqa: S101 -- the section saw to it
        assert high is not None  # noqa: S101
        if parameter.integer:
            step = 1 if parameter.log else int(parameter.step or 1)
            return kinds.IntDistribution(int(low), int(high), log=parameter.log, step=step)
        return kinds.FloatDistribution(
            low, high, log=parameter.log, step=None if parameter.log else parameter.step
        )

    def _labels(self, params: dict[str, Any]) -> dict[str, Any]:
        return {
            item.name: item.choices[params[item.name]].label if item.choices else params[item.name]
            for item in self._space
        }

    def _params(self, labels: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for item in self._space:
            label = labels[item.name]
            known = [choice.label for choice in item.choices]
            found[item.name] = known.index(label) if known else label
        return found

    def _frozen(self, trial: Trial, value: float | None) -> Any:
        states = self._optuna.trial.TrialState
        state = {DONE: states.COMPLETE, PRUNED: states.PRUNED, FAILED: states.FAIL}[trial.state]
        if state == states.COMPLETE and value is None:
            state = states.FAIL
        return self._optuna.trial.create_trial(
            state=state,
            params=self._params(trial.labels),
            distributions=self._distributions(),
            value=value if state == states.COMPLETE else None,
            intermediate_values=dict(enumerate(trial.days)),
        )

    def next(self) -> Trial | None:
        """Return a trial that waits from before, else what the study asks for."""
        waiting = next((trial for trial in self._state.trials if trial.state == WAITING), None)
        if waiting is not None or len(self._state.trials) >= self.total:
            return waiting
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            asked = self._study.ask(self._distributions())
        trial = Trial(number=len(self._state.trials) + 1, labels=self._labels(asked.params))
        self._asked[trial.number] = asked
        self._state.trials.append(trial)
        return trial

    def tell(self, trial: Trial, value: float | None) -> None:
        """Tell the study, a stopped trial with the days it had."""
        asked = self._asked.pop(trial.number, None)
        if asked is None:
            # asked for by a process before this one
            self._study.add_trial(self._frozen(trial, value))
            return
        states = self._optuna.trial.TrialState
        for day, pnl in enumerate(trial.days):
            asked.report(pnl, day)
        if trial.state == DONE and value is not None:
            self._study.tell(asked, value)
        else:
            self._study.tell(asked, state=states.PRUNED if trial.state == PRUNED else states.FAIL)


def import_optuna() -> Any:
    """
    Return Optuna.

    Raises
    ------
    InputError
        If it is not installed.

    """
    try:
        import optuna  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            "method optuna needs the extra 'research' (Ray and Optuna), which is not installed",
            "amm500 sweep",
            "pip install 'amm500[research]', or method grid",
        ) from error
    return optuna


__all__ = ("RUNNING", "GridSearch", "OptunaSearch", "Search", "import_optuna")
