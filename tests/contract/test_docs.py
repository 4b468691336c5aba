"""What the documentation says is there, is there; what is there, the documentation says."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
OBJECTS = "nightly|data|run|model|release|recipe|up|down|doctor"
IN_TEXT = re.compile(rf"\bpawl ((?:{OBJECTS})\b(?: [a-z][a-z_-]+)?)")


@pytest.fixture(scope="module")
def command_line() -> dict[tuple[str, ...], set[str]]:
    """Every command of the pawl command line with its options."""
    import cli.main

    found: dict[tuple[str, ...], set[str]] = {}

    def walk(command, words):
        found[words] = {option for p in command.params for option in getattr(p, "opts", [])} | {"--help"}
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*words, name))

    walk(typer.main.get_command(cli.main.app), ())
    return found


def leaves(command_line) -> set[tuple[str, ...]]:
    """Commands that do something, not groups of commands."""
    return {words for words in command_line if not any(o[: len(words)] == words and o != words for o in command_line)}


def commands(text: str) -> list[str]:
    """The pawl command lines of a Markdown page: lines of code blocks and inline code that start with pawl."""
    blocks = re.findall(r"```[^\n]*\n(.*?)```", text, flags=re.DOTALL)
    rest = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    pieces = [line.strip() for block in blocks for line in block.splitlines()]
    pieces += [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", rest)]
    found = [re.match(r"(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(pawl .*)", piece) for piece in pieces]
    return [m[1] for m in found if m]


def fault(line: str, command_line) -> str | None:
    """What of a command line does not exist; placeholders in capitals and in brackets are skipped."""
    words = shlex.split(re.split(r" {3}| #| \| ", line, maxsplit=1)[0])[1:]
    if words and (words[0].isupper() or words[0] == "…"):
        return None  # the grammar itself
    path: tuple[str, ...] = ()
    for word in words:
        if (*path, word) in command_line:
            path = (*path, word)
        else:
            break
    if path not in leaves(command_line) and not (len(words) == len(path) or words[len(path)].startswith("-")):
        return f"no command {words[len(path)]!r}"
    options = {word.strip("[]").split("=")[0] for word in words if word.lstrip("[").startswith("--")}
    unknown = options - command_line[path]
    return f"no option {sorted(unknown)}" if unknown else None


def test_every_relative_link_leads_to_a_file(house):
    broken = []
    for page in house.pages:
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        for target in LINK.findall(text):
            address = target.split("#")[0]
            if address and "://" not in address and not (page.parent / address).exists():
                broken.append(f"{page.relative_to(house.root)}: {target}")
    assert not broken


def test_every_command_on_a_page_exists(house, command_line):
    faults = {
        f"{page.relative_to(house.root)}: {line}": found
        for page in house.pages
        for line in commands(page.read_text("utf-8"))
        if (found := fault(line, command_line))
    }
    assert not faults


def test_every_command_that_a_message_names_exists(house, command_line):
    objects = {words[0] for words in command_line if words}
    wrong = set()
    for path in house.sources:
        docstrings = {id(n.value) for n in ast.walk(house.tree(path)) if isinstance(n, ast.Expr)}
        for node in ast.walk(house.tree(path)):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in docstrings:
                continue
            for words in IN_TEXT.findall(node.value):
                first, *rest = words.split(" ")
                group = {w[1] for w in command_line if len(w) == 2 and w[0] == first}
                if first not in objects or (group and rest and rest[0] not in group):
                    wrong.add(f"{path.relative_to(house.root)}: pawl {words}")
    assert not wrong


def test_a_command_that_does_not_exist_would_be_seen(command_line):
    assert fault("pawl nightly --recipe PATH --dry-run", command_line) is None
    assert fault("pawl nightly --fast", command_line)
    assert fault("pawl run shwo", command_line)
    assert commands("```\n$ pawl run list\nother\n```\nand `pawl doctor`, `pawl`") == ["pawl run list", "pawl doctor"]


def test_every_command_is_in_the_reference(house, command_line):
    text = (house.root / "docs/reference/cli.md").read_text("utf-8")
    missing = [words for words in leaves(command_line) if f"pawl {' '.join(words)}" not in text]
    missing += [
        (*w, o)
        for w in leaves(command_line)
        for o in command_line[w] - {"--help"}
        if o.startswith("--") and o not in text
    ]
    assert not missing


def keys(model) -> set[str]:
    """Every key of a config model and of the models in it."""
    from tasks.yaml_config import models_in

    found = set(model.model_fields)
    for field in model.model_fields.values():
        for inner in models_in(field.annotation):
            found |= keys(inner)
    return found


def test_every_key_of_a_recipe_and_of_params_is_in_the_reference(house):
    from tasks.recipe import Params, Recipe

    for page, model in (("recipe", Recipe), ("params", Params)):
        text = (house.root / f"docs/reference/{page}.md").read_text("utf-8")
        assert not [key for key in keys(model) if f"`{key}`" not in text], page


def test_every_recipe_on_a_page_is_a_good_recipe(house, tmp_path):
    from tasks.recipe import load_recipe

    for page in house.pages:
        for number, block in enumerate(
            re.findall(r"```yaml\n(name: .*?)```", page.read_text("utf-8"), flags=re.DOTALL)
        ):
            path = tmp_path / f"{page.stem}-{number}.yaml"
            path.write_text(block, encoding="utf-8")
            load_recipe(path)


def test_every_setting_is_in_the_reference(house):
    from tasks.settings import Settings

    text = (house.root / "docs/reference/settings.md").read_text("utf-8")
    names = {str(field.validation_alias or f"PAWL_{name.upper()}") for name, field in Settings.model_fields.items()}
    assert not [name for name in names if f"`{name}`" not in text]


def test_every_error_is_in_the_reference_with_its_exit_code(house):
    import tasks.errors

    text = (house.root / "docs/reference/errors-and-exit-codes.md").read_text("utf-8")
    errors = [e for e in vars(tasks.errors).values() if isinstance(e, type) and issubclass(e, tasks.errors.PawlError)]
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", text, flags=re.MULTILINE))
    assert {e.__name__: str(e.exit_code) for e in errors} == rows


def test_every_page_is_in_the_table_of_contents(house):
    text = (house.root / "mkdocs.yml").read_text("utf-8")
    docs = house.root / "docs"
    pages = [p.relative_to(docs).as_posix() for p in house.pages if p.is_relative_to(docs)]
    assert not [page for page in pages if page not in text]


def test_every_reader_of_the_design_has_a_place_in_the_readme(house):
    text = (house.root / "README.md").read_text("utf-8").lower()
    for reader in ("data engineer", "ml engineer", "release manager", "operator", "whoever serves"):
        assert reader in text, reader
    for command in ("make nightly", "make test"):
        assert command in text


def test_make_targets_that_pages_name_exist(house):
    targets = set(re.findall(r"^([a-z]+):", (house.root / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    named = {
        (str(page.relative_to(house.root)), name)
        for page in house.pages
        for name in re.findall(r"`make ([a-z]+)`", page.read_text("utf-8"))
    }
    assert not {(page, name) for page, name in named if name not in targets}


def test_paths_that_pages_name_as_code_exist(house):
    folders = "cli|flows|tasks|recipes|evals|infra|benchmarks|docs|tests"
    pattern = re.compile(rf"`((?:{folders})/[\w./-]+\.(?:py|yaml|md|j2|css|toml))`")
    missing = [
        f"{page.relative_to(house.root)}: {name}"
        for page in house.pages
        for name in pattern.findall(page.read_text("utf-8"))
        if not (house.root / Path(name)).is_file()
    ]
    assert not missing
