"""The description that MLflow's pages show for a version: what it is, what it was made from, what the gate said."""

from collections.abc import Mapping

from tasks.contracts import Adapter, GateResult, GateVerdict, QuantizedModel

KIND_NAMES = {"adapter": "adapter", "nf4": "merged model in NF4 (4 bits)", "int8": "merged model in int8"}


def card(record: Adapter | QuantizedModel, verdict: GateVerdict, tags: Mapping[str, str]) -> str:
    """A model card in Markdown."""
    judged = record.digest in verdict.inputs.values()
    return "\n".join(
        [
            f"**{record.recipe}: {record.stage.upper()} {KIND_NAMES[record.kind]}**",
            "",
            f"- Data: {tags.get('pawl.dataset_md5', 'unknown')}",
            f"- Code: Git commit {tags.get('pawl.git_commit', 'unknown')}",
            f"- Base: {record.base_digest}",
            f"- Made by run {record.run_id}, judged by run {verdict.run_id}",
            f"- Content digest: {record.digest}",
            "",
            *(gate_table(verdict) if judged else ["An intermediate stage: the gate judged what was made from it."]),
            "",
            "Load it with `mlflow.pyfunc.load_model`: chat messages in, a chat completion out.",
        ]
    )


def gate_table(verdict: GateVerdict) -> list[str]:
    """The verdict as a Markdown table."""
    head = [f"Gate: **{'passed' if verdict.passed else 'rejected'}**", "", "| rule | value | limit | champion | |"]
    return [*head, "|---|---|---|---|---|", *(row(gate) for gate in verdict.gates)]


def row(gate: GateResult) -> str:
    """One rule; a number that is missing is shown as missing."""
    numbers = " | ".join("-" if n is None else f"{n:.4g}" for n in (gate.value, gate.threshold, gate.champion))
    return f"| {gate.name} | {numbers} | {'pass' if gate.passed else 'FAIL'} |"
