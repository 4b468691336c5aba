from typing import TypeVar

import pytest

from tasks.adapters.registry import Registry, champion_of
from tasks.errors import ConfigError
from tasks.settings import Settings

Thing = TypeVar("Thing")


def there(thing: Thing | None) -> Thing:
    assert thing is not None
    return thing


@pytest.fixture
def registry(env: Settings) -> Registry:
    return Registry(env)


def make(registry: Registry, name: str, count: int, **tags: str) -> None:
    registry.ensure(name, "assistant")
    for number in range(count):
        registry.client.create_model_version(name, f"/nowhere/{number}", tags={"pawl.digest": str(number), **tags})


def test_a_search_returns_every_page_with_aliases(registry, monkeypatch):
    make(registry, "assistant", 5)
    registry.point("assistant", "champion", 2)
    real = registry.client.search_model_versions
    monkeypatch.setattr(
        registry.client, "search_model_versions", lambda query, **k: real(query, **{**k, "max_results": 2})
    )
    found = registry.listing("assistant")
    assert [m.version for m in found] == [5, 4, 3, 2, 1]
    assert [m.aliases for m in found if m.version == 2] == [("champion",)]


def test_aliases_are_told_apart_by_case(registry):
    make(registry, "assistant", 1)
    registry.point("assistant", "Champion", 1)
    assert champion_of("assistant") is None
    assert there(registry.aliased("assistant", "Champion")).record.version == 1


def test_a_version_that_nobody_tagged_is_told_by_its_name(registry):
    registry.ensure("assistant-nf4", "assistant")
    registry.client.create_model_version("assistant-nf4", "/nowhere")
    found = there(registry.get("assistant-nf4", 1))
    assert (found.record.kind, found.record.digest, found.run_id) == ("nf4", "unknown", None)


def test_what_is_not_there_is_none(registry):
    assert registry.get("assistant", 1) is None
    assert registry.aliases("assistant") == {}
    assert registry.aliased("assistant", "champion") is None
    assert registry.run("0" * 32) is None
    assert registry.verdict("0" * 32) is None
    assert registry.search("assistant") == []


def test_an_empty_model_made_by_hand_is_taken_over_and_a_used_one_is_not(registry):
    registry.client.create_registered_model("assistant")
    registry.ensure("assistant", "assistant")
    assert registry.names("assistant") == ["assistant"]
    registry.client.create_registered_model("other")
    registry.client.create_model_version("other", "/nowhere")
    with pytest.raises(ConfigError, match="somebody else"):
        registry.ensure("other", "other")


def test_pointing_an_alias_at_nothing_removes_it(registry):
    make(registry, "assistant", 1)
    registry.point("assistant", "challenger", 1)
    registry.point("assistant", "challenger", None)
    assert registry.aliases("assistant") == {}
    registry.point("assistant-int8", "challenger", None)
