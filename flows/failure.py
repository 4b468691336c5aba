"""From whatever broke a night to one message that a person can act on."""

import errno
import logging

from tasks.contracts import NightReport
from tasks.errors import DiskFull, PawlError, RegistryUnreachable
from tasks.settings import settings

DISK_FULL_TEXTS = ("no space left on device", "database or disk is full", "disk quota exceeded")
UNREACHABLE_TEXTS = ("max retries exceeded", "connection refused", "connection aborted", "failed to establish")

log = logging.getLogger("pawl.failure")


class NightFailed(PawlError):
    """A night that ended early, with what it did until then."""

    def __init__(self, report: NightReport, cause: PawlError) -> None:
        super().__init__(str(cause))
        self.report = report
        self.exit_code = cause.exit_code


def explain(error: Exception) -> PawlError:
    """The error itself if it already says what to do, else what its chain of causes amounts to."""
    if isinstance(error, PawlError):
        return error
    chain = causes(error)
    texts = " ".join(str(link) for link in chain).lower()
    if any(getattr(link, "errno", None) in (errno.ENOSPC, errno.EDQUOT) for link in chain) or any(
        text in texts for text in DISK_FULL_TEXTS
    ):
        env = settings()
        return DiskFull(
            f"The disk is full: writing under {env.work} or {env.root / 'mlruns'} failed. Nothing was half registered. "
            "Free some space (pawl doctor shows how much there is), then run the same command again: it carries on."
        )
    if any(text in texts for text in UNREACHABLE_TEXTS) and "mlflow" in texts:
        return RegistryUnreachable(
            f"MLflow at {settings().mlflow_uri} stopped answering. Nothing was half registered. "
            "Start it again, then run the same command: finished steps are reused."
        )
    log.debug("unexpected error", exc_info=error)
    first = (str(error).strip().splitlines() or ["no message"])[0]
    return PawlError(
        f"{type(error).__name__}: {first}\nThe whole traceback is in {settings().work / 'logs' / 'pawl.log'}. "
        "Finished steps are kept: the same command carries on from there."
    )


def causes(error: BaseException) -> list[BaseException]:
    """An error and all that it was raised from or in the course of."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    return chain
