"""One line when a step starts, one when it ends, one at the end of the night; and the same as records."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tasks.contracts import StepReport, StepStatus

log = logging.getLogger("pawl.progress")


@dataclass
class Notes:
    """What happened inside one step, piece by piece (a step may cover several datasets or models)."""

    statuses: list[StepStatus] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def add(self, status: StepStatus, detail: str = "") -> None:
        self.statuses.append(status)
        if detail:
            self.details.append(detail)

    @property
    def status(self) -> StepStatus:
        """Done when any piece was done, resumed when one went on from a checkpoint, reused when all were there."""
        for status in ("resumed", "done", "reused"):
            if status in self.statuses:
                return status
        return "skipped"

    @property
    def reason(self) -> str:
        return "; ".join(self.details)


class Progress:
    """The steps of one night in order, with how each went."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.reports: list[StepReport] = []

    @contextmanager
    def step(self, name: str) -> Iterator[Notes]:
        """Report the start and the end of a step; a failure is reported and passed on."""
        place = f"{self.names.index(name) + 1} of {len(self.names)}"
        notes = Notes()
        started = time.monotonic()
        log.info("%s START %s …", place, name)
        try:
            yield notes
        except BaseException as error:
            cause = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error).strip().split("\n")[0]
            self.end(place, name, "failed", time.monotonic() - started, cause)
            raise
        self.end(place, name, notes.status, time.monotonic() - started, notes.reason)

    def end(self, place: str, name: str, status: StepStatus, seconds: float, reason: str) -> None:
        self.reports.append(StepReport(name=name, status=status, seconds=round(seconds, 2), reason=reason))
        word = "FAIL" if status == "failed" else status.upper()
        log.info("%s %-6s %s  %s  %.1f s", place, word, name, reason, seconds)


def summary(reports: Sequence[StepReport], rejected: bool) -> str:
    """`Done. DONE=8 REUSED=1 REJECTED=0 FAILED=0`."""
    counts: Mapping[str, int] = {
        s: sum(r.status == s for r in reports) for s in ("done", "resumed", "reused", "failed")
    }
    done = counts["done"] + counts["resumed"]
    failed = max(0, counts["failed"] - rejected)  # a refusal is not a failure
    return f"Done. DONE={done} REUSED={counts['reused']} REJECTED={rejected:d} FAILED={failed}"
