"""The house: folders, names, sizes, and nothing that belongs to one machine."""

import ast
import re

import pytest

FOLDERS = ("cli", "flows", "tasks", "data", "recipes", "evals", "infra", "benchmarks", "docs", "tests", "mlruns")
FILES = ("README.md", "Makefile", "dvc.yaml", "dvc.lock", "params.yaml", "pyproject.toml", "requirements.lock")
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc", "core", "base_classes"}
MACHINE_PATH = re.compile(r"(?<![\w.:/~$}])/(?:work|tmp|home|root|Users|mnt)/[\w.]")
FILE_LINES = 400
FUNCTION_LINES = 70


@pytest.mark.parametrize("name", FOLDERS)
def test_the_folder_is_there(house, name):
    assert any(path.is_relative_to(house.root / name) for path in house.files)


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_there(house, name):
    assert house.root / name in house.files


def test_no_module_is_named_after_nothing(house):
    names = [p for p in house.sources if EMPTY_NAMES & {p.stem, *p.relative_to(house.root).parts}]
    assert not names


def test_every_package_has_its_init_file(house):
    folders = {p.parent for p in house.sources}
    assert not [f for f in folders if not (f / "__init__.py").is_file()]


def test_no_file_is_longer_than_a_sitting(house):
    lengths = {p.relative_to(house.root): len(p.read_text("utf-8").splitlines()) for p in house.sources}
    assert not {path: n for path, n in lengths.items() if n > FILE_LINES}


def test_every_function_fits_a_screen(house):
    long = {}
    for path in house.sources:
        for node in ast.walk(house.tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    long[f"{path.relative_to(house.root)}:{node.name}"] = lines
    assert not long


def test_no_file_names_a_path_of_one_machine(house):
    found = {}
    for path in house.files:
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # weights
        hits = MACHINE_PATH.findall(text) and [line for line in text.splitlines() if MACHINE_PATH.search(line)]
        if hits:
            found[str(path.relative_to(house.root))] = hits[:3]
    assert not found


def test_a_path_of_one_machine_would_be_seen():
    for text in ("cd " + "/home" + "/kim/pawl", '"' + "/tmp" + '/x"'):
        assert MACHINE_PATH.search(text), text
    for text in ("docs/tmp/x", "https://example.org/home/page", "~/work/x"):
        assert not MACHINE_PATH.search(text), text


def test_weights_are_never_pickles(house):
    assert not [p for p in house.files if p.suffix in {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"}]
