"""Great Expectations: evaluate a suite on a table and write its Data Docs."""

import gc
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

PLACE = "place"  # key in an expectation's meta: its place in the suite


class Expectation(NamedTuple):
    """One expectation: Great Expectations' own name for it, its arguments, what it means, what to do if it fails."""

    type: str
    arguments: Mapping[str, Any]
    meaning: str
    fix: str


class Verdict(NamedTuple):
    """What became of one expectation."""

    expectation: Expectation
    passed: bool
    observed: str


def evaluate(name: str, suite: Sequence[Expectation], table: "pd.DataFrame", docs: Path) -> list[Verdict]:
    """Evaluate every expectation of a suite on the whole table and write Data Docs of this run to the folder `docs`.

    Returns only what was evaluated: an empty suite gives an empty list, which a caller must not take for a pass.
    """
    gx = library()
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    for site in list(context.get_site_names()):
        context.delete_data_docs_site(site)
    context.add_data_docs_site("pawl", docs_site(docs))
    asset = context.data_sources.add_pandas("pawl").add_dataframe_asset(name)
    definition = gx.ValidationDefinition(
        name=name,
        data=asset.add_batch_definition_whole_dataframe("whole"),
        suite=context.suites.add(gx.ExpectationSuite(name=name, expectations=configured(suite))),
    )
    checkpoint = gx.Checkpoint(
        name=name,
        validation_definitions=[context.validation_definitions.add(definition)],
        actions=[gx.checkpoint.UpdateDataDocsAction(name="docs", site_names=["pawl"])],
        result_format="SUMMARY",
    )
    result = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": table})
    (run,) = result.run_results.values()
    found = {each.expectation_config.meta[PLACE]: each for each in run.results}
    return [Verdict(suite[at], bool(found[at].success), observed(found[at])) for at in sorted(found)]


def library() -> Any:
    """The great_expectations module. Its import makes millions of objects; not looking for garbage saves a fifth."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    gc.disable()
    try:
        import great_expectations
    finally:
        gc.enable()
    return great_expectations


def configured(suite: Sequence[Expectation]) -> list[Any]:
    """The suite as Great Expectations takes it, each with its meaning as the note that Data Docs show."""
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    return [
        ExpectationConfiguration(type=each.type, kwargs=dict(each.arguments), meta={PLACE: at}, notes=each.meaning)
        for at, each in enumerate(suite)
    ]


def docs_site(folder: Path) -> dict[str, Any]:
    """A static site in `folder`, with an index page."""
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }


def observed(result: Any) -> str:
    """What was seen, in words: a value, or the share of records that are not as expected, with examples."""
    info = result.exception_info  # one mapping, or one a metric
    errors = [each for each in (info, *info.values()) if isinstance(each, dict) and each.get("raised_exception")]
    if errors:
        return f"could not be evaluated: {errors[0]['exception_message']}"
    details = result.result
    if "unexpected_count" in details:
        share = details.get("unexpected_percent")
        if not details["unexpected_count"] or share is None or math.isnan(share):
            return "all records as expected"
        examples = ", ".join(repr(value) for value in list(dict.fromkeys(details["partial_unexpected_list"]))[:3])
        count = f"{details['unexpected_count']} of {details['element_count']}"
        return f"{count} records are not ({share:.2f}%), such as {examples}"
    value = details.get("observed_value")
    return f"{value:.4g}" if isinstance(value, float) else str(value)
