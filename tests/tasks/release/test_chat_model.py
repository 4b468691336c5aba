"""The served model, loaded as MLflow loads it; answers are compared with what plain transformers and PEFT generate."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.entities import LoggedModel, LoggedModelStatus
from mlflow.exceptions import MlflowException

from tasks.adapters.chat_artifact import ChatArtifact, write
from tasks.recipe import Int8, Nf4
from tasks.release.models import chat
from tasks.release.register import CODE

REPOSITORY = Path(__file__).resolve().parents[3]
BASE = REPOSITORY / "data" / "base" / "tiny"
ASK = [{"role": "user", "content": "서울은 어디에 있나요?"}]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory) -> Path:
    """A LoRA with random weights, so that it changes what the base says; the tokenizer lies beside it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32), config)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(BASE).save_pretrained(folder)
    return folder


def packed(folder: Path, kind, model: Path, base: Path | None) -> Path:
    """The artifact as `register` writes it."""
    now = 0
    logged = LoggedModel("0", "m-1", "assistant", str(folder), now, now, status=LoggedModelStatus.PENDING)
    artifact = ChatArtifact("assistant", kind, "d", CODE, model, base, str(BASE), None)
    write(folder / "model", artifact, logged)
    return folder / "model"


@pytest.fixture(scope="module")
def artifact(tmp_path_factory, adapter) -> Path:
    base = shutil.copytree(BASE, tmp_path_factory.mktemp("base") / "tiny")
    made = packed(tmp_path_factory.mktemp("artifact"), "adapter", adapter, base)
    shutil.rmtree(base)
    return made


@pytest.fixture(scope="module")
def served(artifact):
    return mlflow.pyfunc.load_model(str(artifact))


def text(answer: Any) -> str:
    return answer["choices"][0]["message"]["content"]


def expected(model, tokens: int, messages=ASK) -> str:
    """The greedy answer by transformers alone."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(BASE)
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    out = model.generate(**prompt, do_sample=False, max_new_tokens=tokens)
    return tokenizer.decode(out[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True).strip()


def test_the_answer_is_the_greedy_one_of_base_and_adapter(served, adapter):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(BASE), str(adapter)).eval()
    answer = served.predict({"messages": ASK, "max_tokens": 12})
    assert text(answer) == expected(model, 12)
    with model.disable_adapter():
        assert text(answer) != expected(model, 12)


def test_the_answer_has_the_form_of_a_chat_completion(served):
    answer = served.predict({"messages": ASK, "max_tokens": 3})
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "assistant"
    choice = answer["choices"][0]
    assert (choice["index"], choice["message"]["role"], choice["finish_reason"]) == (0, "assistant", "length")
    usage = answer["usage"]
    assert usage["completion_tokens"] == 3
    assert usage["total_tokens"] == usage["prompt_tokens"] + 3
    json.dumps(answer)


def test_greedy_is_the_default_and_options_may_stand_in_either_place(served):
    beside = served.predict({"messages": ASK, "max_tokens": 6})
    in_params = served.predict({"messages": ASK}, params={"max_tokens": 6, "temperature": 0})
    assert text(beside) == text(in_params) == text(served.predict({"messages": ASK, "max_tokens": 6, "temperature": 0}))


def test_temperature_is_honoured(served):
    import torch

    torch.manual_seed(0)
    answers = {text(served.predict({"messages": ASK, "max_tokens": 8, "temperature": 2.0})) for _ in range(4)}
    assert len(answers) > 1


def test_a_stop_string_ends_the_answer(served):
    whole = text(served.predict({"messages": ASK, "max_tokens": 40}))
    stop = whole[len(whole) // 2]
    cut = served.predict({"messages": ASK, "max_tokens": 40, "stop": [stop]})
    assert cut["choices"][0]["finish_reason"] == "stop"
    assert len(text(cut)) <= len(whole)


def test_what_clients_of_openai_send_along_does_no_harm(served):
    messages = [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": "Hi", "name": "kim"}]
    answer = served.predict({"messages": messages, "model": "assistant", "stream": False, "max_tokens": 2})
    assert answer["usage"]["completion_tokens"] <= 2


def test_several_conversations_are_several_answers(served):
    rows = pd.DataFrame({"messages": [ASK, [{"role": "user", "content": "Hello"}]], "max_tokens": [4, 4]})
    answers = served.predict(rows)
    assert text(answers[0]) == text(served.predict({"messages": ASK, "max_tokens": 4}))
    assert len(answers) == 2


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"messages": []}, "messages must be a list of role"),
        ({"messages": [{"role": "wizard", "content": "Hi"}]}, "messages must be a list of role"),
        ({"messages": ASK, "max_tokens": 0}, "max_tokens 1 or more"),
        ({"messages": ASK, "temperature": -1.0}, "temperature must be 0 or more"),
        ({"messages": ASK, "stream": True}, "does not stream"),
        ({"messages": [{"role": "user", "content": "길" * 9000}]}, "reads at most"),
    ],
)
def test_a_request_that_makes_no_sense_says_why(served, request_, says):
    with pytest.raises(MlflowException, match=says):
        served.predict(request_)


def test_the_artifact_is_models_from_code_without_a_pickle(artifact):
    names = [p.name for p in artifact.rglob("*") if p.is_file()]
    assert "chat_model.py" in names
    assert not [n for n in names if Path(n).suffix in {".pkl", ".pickle", ".bin", ".pt", ".pth"}]


ALONE = """
import socket, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tasks", "flows", "cli"):
            raise ImportError("Pawl is not here")
sys.meta_path.insert(0, Blocked())
def refused(*args, **kwargs):
    raise OSError("the network is off")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refused
import json, mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
print(json.dumps(model.predict({"messages": json.loads(sys.argv[2]), "max_tokens": 8})))
"""


def alone(folder: Path, uri: str, **env: str) -> dict:
    """What a process says that has neither Pawl, nor a network, nor anything in its caches."""
    ours = ("PAWL_", "MLFLOW_", "PYTHONPATH", "HF_")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "empty"), "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, "-c", ALONE, uri, json.dumps(ASK)],
        cwd=folder,
        env={**clean, **offline, **env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_challenger_loads_by_its_alias_without_pawl_and_without_a_network(
    workshop, env, adapter, served, tmp_path_factory
):
    def files(name: str) -> Path:
        return shutil.copytree(adapter, env.root / "made" / name, dirs_exist_ok=True)

    replace(workshop, base=BASE).night("a", kinds=(), files=files).nominate()
    shutil.rmtree(env.root / "made")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    answer = alone(elsewhere, "models:/assistant@challenger", MLFLOW_TRACKING_URI=env.mlflow_uri)
    assert text(answer) == text(served.predict({"messages": ASK, "max_tokens": 8}))
    assert text(answer) == chat("assistant@challenger", ASK[0]["content"], max_tokens=8)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "config"), [("nf4", Nf4()), ("int8", Int8())])
def test_a_quantized_model_is_served_by_itself(tmp_path, adapter, kind, config):
    from transformers import AutoModelForCausalLM

    from tasks.quantize.merge import merge
    from tasks.quantize.quantize import quantize

    merge(BASE, adapter, tmp_path / "merged")
    quantize(kind, config, tmp_path / "merged", tmp_path / "made", device="cpu")
    served = mlflow.pyfunc.load_model(str(packed(tmp_path, kind, tmp_path / "made", None)))
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "made", device_map={"": "cpu"}).eval()
    assert text(served.predict({"messages": ASK, "max_tokens": 12})) == expected(plain, 12)
