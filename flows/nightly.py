"""The main job: one night of one recipe."""

import logging
from pathlib import Path

from prefect import flow

from flows import steps
from flows.evidence import gather
from flows.night import Night, alone, check, prepare
from flows.progress import summary
from flows.record import close, earlier, failed, start
from tasks.adapters.prefect import answers, start_embedded_server
from tasks.adapters.registry import champion_of
from tasks.contracts import NightReport, RegisteredModel
from tasks.errors import PrefectUnreachable
from tasks.settings import settings

log = logging.getLogger("pawl.progress")


@flow(name="nightly", flow_run_name="nightly-{recipe}", validate_parameters=False)
def nightly(recipe: str, force: bool = False) -> NightReport:
    """One night of one recipe: data in, a verdict out.

    Args:
        recipe: path of the recipe's file.
        force: a new attempt even where nothing changed.
    """
    night = prepare(Path(recipe), force)
    with alone(night.env, night.recipe.name), failed(night):
        steps.make_data(night)
        champion = champion_of(night.recipe.name)
        known = None if force else earlier(night, champion)
        if known:
            log.info(summary(known.steps, rejected=known.status == "rejected"))
        return known or work(night, champion)


def work(night: Night, champion: RegisteredModel | None) -> NightReport:
    """Train, quantize, evaluate, judge, register."""
    start(night)
    adapters = steps.train(night)
    quantized = steps.quantize(night, adapters[-1])
    reports = steps.evaluate(night, adapters, quantized, champion)
    verdict = steps.gate(night, adapters, quantized, reports)
    models = steps.register(night, adapters, quantized, verdict)
    return close(night, verdict, models, gather(night, verdict, adapters, quantized, list(reports.values())))


def run_night(recipe: Path, force: bool) -> NightReport:
    """The flow in this process, with what can be checked first checked before a server is started for it."""
    check(recipe)
    env = settings()
    if env.prefect_api_url is None:
        start_embedded_server(env.work / "prefect")
    elif not answers(env.prefect_api_url):
        raise PrefectUnreachable(
            f"Prefect at {env.prefect_api_url} does not answer. "
            "Start it, or unset PREFECT_API_URL to use the embedded one."
        )
    return nightly(str(recipe), force)
