"""What a night needs, looked at one by one: each line says what is there and, where it is not good, what to do."""

import shutil
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tasks.contracts import Check
from tasks.errors import PawlError
from tasks.settings import Settings, settings

FREE_GB = 2.0
MADE_FOR = "Run  make setup ."


def examine() -> list[Check]:
    """All checks; a failing one never hides the next."""
    env = settings()
    checks: list[Callable[[Settings], Check]] = [python, libraries, disk, device, configuration, data, mlflow, prefect]
    return [look(check, env) for check in checks]


def look(check: Callable[[Settings], Check], env: Settings) -> Check:
    """One check; what it cannot read is bad news too."""
    try:
        return check(env)
    except OSError as error:
        return Check(name=check.__name__, good=False, detail=str(error), fix=f"Restore it. {MADE_FOR}")


def python(_: Settings) -> Check:
    good = sys.version_info >= (3, 11)
    return Check(name="python", good=good, detail=sys.version.split()[0], fix="" if good else "Install Python 3.11+.")


def libraries(env: Settings) -> Check:
    """Every pin of requirements.lock against what is installed."""
    wrong = []
    for line in (env.root / "requirements.lock").read_text("utf-8").splitlines():
        pin, _, marker = line.partition(";")
        name, equals, wanted = pin.strip().partition("==")
        if not equals or name.startswith("#") or marker:
            continue
        found = installed(name)
        if found is None or found.split("+")[0] != wanted:
            wrong.append(f"{name} {found or 'absent'}, locked {wanted}")
    detail = "as locked" if not wrong else "; ".join(wrong[:5]) + (" …" if len(wrong) > 5 else "")
    return Check(name="libraries", good=not wrong, detail=detail, fix=MADE_FOR if wrong else "")


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def disk(env: Settings) -> Check:
    env.work.mkdir(parents=True, exist_ok=True)
    places = {str(path): shutil.disk_usage(path).free / 1e9 for path in (env.root, env.work)}
    good = min(places.values()) >= FREE_GB
    detail = ", ".join(f"{gb:.1f} GB free under {path}" for path, gb in places.items())
    return Check(name="disk", good=good, detail=detail, fix="" if good else f"Keep {FREE_GB:.0f} GB free.")


def device(env: Settings) -> Check:
    try:
        chosen = env.torch_device()
    except PawlError as error:
        return Check(name="device", good=False, detail=env.device, fix=str(error))
    return Check(name="device", good=True, detail=f"{chosen}, {env.threads} threads")


def configuration(env: Settings) -> Check:
    """params.yaml and every recipe."""
    from flows.night import check

    recipes = sorted((env.root / "recipes").glob("*.yaml"))
    try:
        for path in recipes:
            check(path)
    except PawlError as error:
        first, _, rest = str(error).partition("\n")
        return Check(name="recipes", good=False, detail=first, fix=" ".join(rest.split()))
    return Check(name="recipes", good=bool(recipes), detail=f"{len(recipes)} recipes and params.yaml are good")


def data(env: Settings) -> Check:
    """The data graph: what of it is behind."""
    from tasks.adapters.dvc import stale_stages

    try:
        stale, missing = stale_stages(env.root), missing_sources(env)
    except PawlError as error:
        return Check(name="data", good=False, detail="the data graph cannot be read", fix=str(error))
    if missing:
        return Check(
            name="data", good=False, detail=f"absent: {', '.join(missing)}", fix="Correct source: in params.yaml."
        )
    detail = f"{len(stale)} stages to run: {', '.join(sorted(stale))}" if stale else "every stage is up to date"
    return Check(name="data", good=True, detail=detail)


def missing_sources(env: Settings) -> list[str]:
    """Datasets of params.yaml whose file is not there and that no stage will make."""
    from flows.night import SAMPLE
    from tasks.recipe import load_params

    datasets = load_params(env.root / "params.yaml").datasets
    own = {name: one.source for name, one in datasets.items() if not one.source.startswith(SAMPLE)}
    return [f"{name} ({source})" for name, source in own.items() if not (env.root / source).exists()]


def mlflow(env: Settings) -> Check:
    from tasks.adapters.runs import connect

    database = env.root / "mlruns" / "mlflow.db"
    if env.embedded_mlflow and not database.exists():
        return Check(name="mlflow", good=True, detail=f"embedded, made by the first night at {relative(database, env)}")
    try:
        connect(env)
    except PawlError as error:
        return Check(name="mlflow", good=False, detail=env.mlflow_uri, fix=str(error))
    return Check(name="mlflow", good=True, detail=env.mlflow_uri)


def prefect(env: Settings) -> Check:
    from tasks.adapters.prefect import answers

    if env.prefect_api_url is None:
        return Check(name="prefect", good=True, detail="embedded, started by each night")
    good = answers(env.prefect_api_url)
    fix = "" if good else "Start it, or unset PREFECT_API_URL to use the embedded one."
    return Check(name="prefect", good=good, detail=env.prefect_api_url, fix=fix)


def relative(path: Path, env: Settings) -> str:
    return str(path.relative_to(env.root))
