"""The registry: bundles by id, aliases with a history, nothing lost."""

from pathlib import Path

import pytest
from bundles import bundle_content

from sepl.bundle.manifest import MANIFEST, WEIGHTS
from sepl.bundle.registry import ALIASES, Registry, open_bundle
from sepl.errors import BundleError, ConfigError


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def test_an_added_bundle_is_listed_and_resolved_by_its_id(registry: Registry, tmp_path: Path) -> None:
    bundle = registry.add(**bundle_content())

    assert [manifest.bundle_id for manifest in registry.list()] == [bundle.bundle_id]
    assert registry.resolve(bundle.bundle_id) == str(tmp_path / "registry" / bundle.bundle_id)
    assert registry.show(bundle.bundle_id).manifest == bundle.manifest


def test_a_promoted_alias_names_its_bundle_everywhere(registry: Registry, tmp_path: Path) -> None:
    bundle = registry.add(**bundle_content())

    registry.promote(bundle.bundle_id, "production")

    assert registry.show("production").bundle_id == bundle.bundle_id
    assert open_bundle(f"{tmp_path}/registry#production").bundle_id == bundle.bundle_id
    assert open_bundle(f"{tmp_path}/registry#{bundle.bundle_id}").bundle_id == bundle.bundle_id
    assert open_bundle(f"{tmp_path}/registry/{bundle.bundle_id}").bundle_id == bundle.bundle_id


def test_rollbacks_go_back_one_promotion_each_and_keep_the_record(registry: Registry) -> None:
    ids = [registry.add(**bundle_content(seed)).bundle_id for seed in range(3)]
    for bundle_id in ids:
        registry.promote(bundle_id, "production")

    assert registry.rollback("production") == ids[1]
    assert registry.rollback("production") == ids[0]
    assert registry.show("production").bundle_id == ids[0]
    assert [entry.bundle_id for entry in registry.aliases().aliases["production"]] == ids
    with pytest.raises(BundleError, match="should have an earlier bundle"):
        registry.rollback("production")


def test_a_promotion_after_a_rollback_goes_back_to_what_was_in_force(registry: Registry) -> None:
    first, bad, third = (registry.add(**bundle_content(seed)).bundle_id for seed in range(3))
    registry.promote(first, "production")
    registry.promote(bad, "production")
    registry.rollback("production")
    registry.promote(third, "production")

    assert registry.rollback("production") == first


def test_a_bundle_that_was_changed_is_not_promoted(registry: Registry, tmp_path: Path) -> None:
    bundle = registry.add(**bundle_content())
    _damage(tmp_path / "registry" / bundle.bundle_id / WEIGHTS)

    with pytest.raises(BundleError, match=WEIGHTS):
        registry.promote(bundle.bundle_id, "production")
    assert registry.aliases().aliases == {}


def test_verify_finds_the_one_that_was_changed(registry: Registry, tmp_path: Path) -> None:
    good, bad = (registry.add(**bundle_content(seed)).bundle_id for seed in range(2))
    _damage(tmp_path / "registry" / bad / WEIGHTS)

    problems = {verdict.bundle_id: verdict.problem for verdict in registry.verify()}

    assert problems[good] is None
    assert WEIGHTS in str(problems[bad])


def test_verify_finds_a_bundle_in_the_folder_of_another(registry: Registry, tmp_path: Path) -> None:
    bundle = registry.add(**bundle_content())
    (tmp_path / "registry" / bundle.bundle_id).rename(tmp_path / "registry" / "renamed")

    (verdict,) = registry.verify()

    assert "should hold bundle renamed" in str(verdict.problem)


def test_a_folder_without_manifest_was_never_published(registry: Registry, tmp_path: Path) -> None:
    bundle = registry.add(**bundle_content())
    (tmp_path / "registry" / bundle.bundle_id / MANIFEST).unlink()

    assert registry.list() == ()
    with pytest.raises(BundleError, match="registry is empty"):
        registry.resolve(bundle.bundle_id)


@pytest.mark.parametrize("alias", ["", "a b", "../up", "x#y", "a/b"])
def test_an_alias_is_a_plain_word(registry: Registry, alias: str) -> None:
    bundle = registry.add(**bundle_content())

    with pytest.raises(ConfigError, match="alias should be a plain word"):
        registry.promote(bundle.bundle_id, alias)


def test_an_unknown_name_is_answered_with_the_choices(registry: Registry) -> None:
    bundle = registry.add(**bundle_content())
    registry.promote(bundle.bundle_id, "production")

    with pytest.raises(BundleError, match=f"production, {bundle.bundle_id}"):
        registry.resolve("produktion")


def test_a_damaged_alias_file_is_one_clear_error(registry: Registry, tmp_path: Path) -> None:
    registry.add(**bundle_content())
    (tmp_path / "registry" / ALIASES).write_text('{"aliases": {"production": 3}}')

    with pytest.raises(BundleError, match=ALIASES):
        registry.resolve("production")


def _damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
