from tasks import fingerprint as identity
from tasks.fingerprint import closure, code_revision, fingerprint

STEP = "tasks.train.sft"


def of(**changes: object) -> str:
    parts = {"step": "sft", "config": {"steps": 1}, "inputs": {"data": "a"}, **changes}
    return fingerprint(parts["step"], parts["config"], parts["inputs"], STEP)  # type: ignore[arg-type]


def test_each_part_of_identity_changes_the_fingerprint() -> None:
    prints = [of(), of(step="dpo"), of(config={"steps": 2}), of(inputs={"data": "b"}), of(inputs={"base": "a"})]
    assert len(set(prints)) == len(prints)


def test_order_of_keys_does_not() -> None:
    assert of(config={"a": 1, "b": 2}) == of(config={"b": 2, "a": 1})


def test_a_steps_code_is_its_module_and_what_it_imports_but_not_settings_or_adapters() -> None:
    found = closure(STEP)
    assert {STEP, "tasks.train.examples", "tasks.train.model", "tasks.train.trainers"} <= found
    assert not {name for name in found if name.startswith(identity.NOT_IDENTITY)}


def test_a_change_in_the_code_changes_the_revision(tmp_path, monkeypatch) -> None:
    module = tmp_path / "tasks" / "train" / "sft.py"
    module.parent.mkdir(parents=True)
    monkeypatch.setattr(identity, "CODE_ROOT", tmp_path)
    revisions = []
    for text in ("A = 1\n", "A = 2\n"):
        module.write_text(text)
        code_revision.cache_clear()
        revisions.append(code_revision(STEP))
    code_revision.cache_clear()
    assert revisions[0] != revisions[1]
