from pathlib import Path

import pytest

from serving.errors import RegistryUnreachable
from serving.following.production import choose
from serving.following.registry import MlflowRegistry
from serving.protocol import View
from tests.servers import Stack, eventually, free_port
from tests.serving.conftest import Registrar, slope

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # MLflow's HTTP pool is closed by the collector


def test_stage_alias_and_tags_are_read(stack: Stack, registrar: Registrar, tmp_path: Path) -> None:
    registry = MlflowRegistry(stack.tracking_uri)
    assert registry.read(registrar.name) == View()
    first, second = registrar.register(slope(1)), registrar.register(slope(2))
    assert registry.read(registrar.name) == View(registered=True)

    registrar.stage(first)
    assert [each.number for each in registry.read(registrar.name).in_production] == [first]

    registrar.alias(second)
    alias = registry.read(registrar.name).alias
    assert alias is not None
    assert alias.number == second

    registrar.client.set_model_version_tag(registrar.name, str(first), "git_commit", "abc")
    assert registry.read(registrar.name).in_production[0].tags == {"git_commit": "abc"}

    home = registry.download(alias, tmp_path)
    assert (home / "MLmodel").is_file()


def test_any_version_is_found_by_its_number(stack: Stack, registrar: Registrar) -> None:
    registry = MlflowRegistry(stack.tracking_uri)
    number = registrar.register(slope(1))

    found = registry.find(registrar.name, number)

    assert found is not None
    assert (found.name, found.number) == (registrar.name, number)
    assert registry.find(registrar.name, number + 1) is None
    with pytest.raises(RegistryUnreachable):
        MlflowRegistry(f"http://127.0.0.1:{free_port()}").find(registrar.name, number)


def test_the_size_of_a_version_is_that_of_the_files_that_come(
    stack: Stack, registrar: Registrar, tmp_path: Path
) -> None:
    registry = MlflowRegistry(stack.tracking_uri)
    registrar.stage(registrar.register(slope(1)))
    version = registry.read(registrar.name).in_production[0]
    source = registrar.client.get_model_version(registrar.name, "1").source or ""
    (model,) = (stack.folder / "s3" / "mlflow").rglob(f"*{source.rpartition('/')[2]}*/**/model.skops")
    before = registry.size(version) or 0
    (model.parent / "below").mkdir()
    (model.parent / "below" / "more").write_bytes(bytes(12345))

    # The S3 server takes a moment to notice what was put into its folder.
    told = eventually(lambda: size if (size := registry.size(version) or 0) > before else None)

    home = registry.download(version, tmp_path)
    assert (home / "below" / "more").is_file()
    assert told == sum(file.stat().st_size for file in home.rglob("*") if file.is_file())


def test_after_a_download_the_tags_are_read_anew(stack: Stack, registrar: Registrar, tmp_path: Path) -> None:
    """Nothing that a poll asks for shows that the tag of an old version has changed, where only an alias names it."""
    registry = MlflowRegistry(stack.tracking_uri)
    first, _ = registrar.register(slope(1)), registrar.register(slope(2))
    registrar.alias(first)
    alias = registry.read(registrar.name).alias
    assert alias is not None
    registrar.client.set_model_version_tag(registrar.name, str(first), "slipway.manifest", "abc")

    registry.download(alias, tmp_path)

    now = registry.read(registrar.name).alias
    assert now is not None
    assert now.manifest == "abc"


def test_of_two_in_production_the_one_moved_last_counts(stack: Stack, registrar: Registrar) -> None:
    registry = MlflowRegistry(stack.tracking_uri)
    first, second = registrar.register(slope(1)), registrar.register(slope(2))
    registrar.stage(second)
    registry.read(registrar.name)

    registrar.stage(first, archive=False)
    decision = choose(None, registry.read(registrar.name))

    assert decision.version is not None
    assert decision.version.number == first
    assert "are all in stage Production" in decision.disagreements[0]


def test_an_alias_that_differs_in_case_is_seen(stack: Stack, registrar: Registrar) -> None:
    number = registrar.register(slope(1))
    registrar.client.set_registered_model_alias(registrar.name, "Production", str(number))

    view = MlflowRegistry(stack.tracking_uri).read(registrar.name)

    assert (view.alias, view.similar_aliases) == (None, ("Production",))


def test_a_registry_that_does_not_answer_is_unreachable_and_keeps_its_password() -> None:
    registry = MlflowRegistry(f"http://ada:secret-word@127.0.0.1:{free_port()}")

    with pytest.raises(RegistryUnreachable) as caught:
        registry.read("iris")

    assert "secret-word" not in str(caught.value)
