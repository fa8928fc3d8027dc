"""The registry command end to end."""

from pathlib import Path

import pytest
from bundles import bundle_content

from jobs._registry import List, Promote, Rollback, Show, Verify
from sepl.bundle.manifest import WEIGHTS
from sepl.bundle.registry import Registry
from sepl.errors import BundleError


@pytest.fixture
def registry(tmp_path: Path) -> str:
    return str(tmp_path / "registry")


def test_list_tells_every_bundle_and_the_aliases_in_force(registry: str, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (Registry(registry).add(**bundle_content(seed)).bundle_id for seed in range(2))
    Promote(registry=registry, bundle=one, alias="production").run()
    Promote(registry=registry, bundle=two, alias="production").run()
    capsys.readouterr()

    List(registry=registry).run()

    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted([one, two])
    assert [line.split()[0] for line in lines if "production" in line.split()] == [two]


def test_rollback_tells_the_bundle_that_is_back(registry: str, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (Registry(registry).add(**bundle_content(seed)).bundle_id for seed in range(2))
    Promote(registry=registry, bundle=one, alias="production").run()
    Promote(registry=registry, bundle=two, alias="production").run()
    capsys.readouterr()

    Rollback(registry=registry, alias="production").run()

    assert capsys.readouterr().out == f"production is {one}\n"


def test_show_prints_the_model_card(registry: str, capsys: pytest.CaptureFixture[str]) -> None:
    bundle_id = Registry(registry).add(**bundle_content()).bundle_id

    Show(registry=registry, bundle=bundle_id).run()

    assert "Not a medical device" in capsys.readouterr().out


def test_verify_fails_and_names_the_changed_file(
    registry: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = (Registry(registry).add(**bundle_content(seed)).bundle_id for seed in range(2))
    with (tmp_path / "registry" / bad / WEIGHTS).open("ab") as stream:
        stream.write(b"\0")

    with pytest.raises(BundleError, match="1 of 2 bundles"):
        Verify(registry=registry).run()

    told = capsys.readouterr().out
    assert f"{good}  whole" in told
    assert WEIGHTS in next(line for line in told.splitlines() if line.startswith(bad))
