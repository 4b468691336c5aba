"""Work is done once: a finished run with the same fingerprint is the result."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from pydantic import JsonValue

from flows.night import CODE, Night
from flows.progress import Notes
from tasks.adapters.runs import Details, StepRun
from tasks.contracts import DatasetVersion, Digest, Fingerprint, Record
from tasks.fingerprint import fingerprint

AnyRecord = TypeVar("AnyRecord", bound=Record)


def once(
    night: Night,
    notes: Notes,
    step: str,
    label: str,
    record: type[AnyRecord],
    config: JsonValue,
    inputs: Mapping[str, Digest],
    make: Callable[[Fingerprint, StepRun], AnyRecord],
    datasets: Sequence[DatasetVersion] = (),
) -> AnyRecord:
    """The record of this piece of work: found, resumed or made. `make` stores it in the run that it is given."""
    identity = identify(step, config, inputs)
    found = None if night.force else night.runs.finished(identity, record)
    if found is not None:
        notes.add("reused", label)
        return found
    tags = {**night.lineage(), "pawl.night": night.fingerprint}
    with night.runs.open(step, identity, Details(label, config, tags, datasets), night.force) as run:
        made = make(identity, run)
    notes.add("resumed" if run.resumed else "done", f"{label} (a new attempt, --force)" if night.force else label)
    return made


def identify(step: str, config: JsonValue, inputs: Mapping[str, Digest]) -> Fingerprint:
    """Fingerprint of a piece of work: its step's code, its part of the recipe, its inputs."""
    return fingerprint(step, config, inputs, *CODE[step])
