"""All injections of all faults, and what they come to."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_af.bench.faults.kinds import KINDS
from edge_af.bench.faults.process import PROCESS_KINDS, process_trial
from edge_af.bench.faults.trial import Trial, trial
from edge_af.bench.pool import spread
from edge_af.model_file import ModelFile

FAULTS = (*KINDS, *PROCESS_KINDS)


@dataclass(frozen=True, slots=True)
class Tally:
    """How often a fault was injected, and what was counted; see `Trial`.

    `stuck` are the injections after which it did not recover; a person may have been needed.
    """

    fault: str
    injections: int
    crashes: int
    wrongly_trusted: int
    wrong_focus: int
    stuck: int
    needs_person: bool

    @property
    def holds(self) -> bool:
        """Whether nothing happened that must not."""
        bad = self.crashes + self.wrongly_trusted + self.wrong_focus
        return bad == 0 and (self.stuck == 0 or self.needs_person)


def trials(
    faults: Sequence[str], injections: int, seed: int, model: Path | None, workers: int
) -> Iterator[Trial]:
    """Yield each trial as it is done, in any order."""
    tasks = [(fault, seed, number) for number in range(injections) for fault in faults]
    return spread(_injected, tasks, model, workers)


def _injected(model: ModelFile, task: tuple[str, int, int]) -> Trial:
    fault, seed, number = task
    if fault in PROCESS_KINDS:
        return process_trial(fault, seed, number)
    return trial(fault, seed, number, model)


def tallies(done: Iterable[Trial], faults: Sequence[str]) -> list[Tally]:
    """Return a line for each fault."""
    kept = list(done)
    return [_tally(fault, [one for one in kept if one.fault == fault]) for fault in faults]


def _tally(fault: str, mine: Sequence[Trial]) -> Tally:
    return Tally(
        fault=fault,
        injections=len(mine),
        crashes=sum(one.crashed for one in mine),
        wrongly_trusted=sum(one.wrongly_trusted for one in mine),
        wrong_focus=sum(one.wrong_focus for one in mine),
        stuck=sum(not one.recovered for one in mine),
        needs_person=any(one.needs_person for one in mine),
    )
