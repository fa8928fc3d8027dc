"""The registry: a folder of bundles by id, and names such as `production` that point at one of them.

    REGISTRY/<bundle_id>/…     published bundles, never changed
    REGISTRY/aliases.json      alias → its history of bundle ids; the last one not withdrawn is meant

Wherever a command takes a bundle, `REGISTRY#ALIAS` or `REGISTRY#BUNDLE_ID` names one of a registry.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from pydantic import AwareDatetime, Field

from sepl.bundle.format import (
    BundleContent,
    BundleManifest,
    ModelBundle,
    compose_bundle,
    publish_bundle,
    read_bundle,
    read_manifest,
    verify_bundle,
)
from sepl.bundle.manifest import CARD, MANIFEST, utc_now
from sepl.errors import BundleError, ConfigError
from sepl.settings import Settings
from sepl.storage import Location, resolve

ALIASES = "aliases.json"


class Promotion(Settings):
    """One entry of an alias's history."""

    bundle_id: str
    promoted: AwareDatetime = Field(default_factory=utc_now)
    withdrawn: AwareDatetime | None = None
    """When a rollback ended it; None while it is in force or waits below one that is."""


class Aliases(Settings):
    """The content of `aliases.json`: every alias with all its promotions; nothing is ever removed."""

    aliases: dict[str, tuple[Promotion, ...]] = Field(default_factory=dict)

    def standing(self, alias: str) -> tuple[Promotion, ...]:
        """Promotions that were not rolled back; the last one is in force."""
        return tuple(entry for entry in self.aliases.get(alias, ()) if entry.withdrawn is None)

    def current(self, alias: str) -> str | None:
        """Id of the bundle that an alias names now."""
        standing = self.standing(alias)
        return standing[-1].bundle_id if standing else None


@dataclass(frozen=True)
class Verdict:
    """What `verify` found of one bundle; `problem` is None when every file is what was published."""

    bundle_id: str
    problem: str | None


class Registry:
    """Bundles below one URI. Two promotions at the same moment: the later write of `aliases.json` wins."""

    def __init__(self, uri: str | Path) -> None:
        self.location = resolve(uri)

    def add(self, **content: Unpack[BundleContent]) -> ModelBundle:
        """Publishes a bundle at `REGISTRY/<bundle_id>`."""
        bundle, files = compose_bundle(**content)
        publish_bundle(bundle, files, self.location / bundle.bundle_id)
        return bundle

    def list(self) -> tuple[BundleManifest, ...]:
        """Manifests of the published bundles, oldest first. A folder without manifest was never published."""
        manifests = [read_manifest(folder) for folder in self._bundles()]
        return tuple(sorted(manifests, key=lambda manifest: (manifest.provenance.created, manifest.bundle_id)))

    def aliases(self) -> Aliases:
        location = self.location / ALIASES
        if not location.exists():
            return Aliases()
        return Aliases.parse_json(location.read_bytes(), location.uri, BundleError)

    def resolve(self, alias_or_id: str) -> str:
        """URI of the bundle that an alias or an id names; BundleError naming the choices when there is none."""
        aliases = self.aliases()
        bundle_id = aliases.current(alias_or_id) or alias_or_id
        if bundle_id not in self._bundle_ids():
            choices = ", ".join([*sorted(aliases.aliases), *self._bundle_ids()]) or "none, the registry is empty"
            raise BundleError(
                f"a bundle of {self.location.uri} should be an alias or id of {choices}; was {alias_or_id!r}"
            )
        return (self.location / bundle_id).uri

    def show(self, alias_or_id: str) -> ModelBundle:
        return read_bundle(self.resolve(alias_or_id))

    def card(self, alias_or_id: str) -> str:
        """The model card, after all files were checked."""
        _, files = verify_bundle(resolve(self.resolve(alias_or_id)))
        return files[CARD].decode()

    def promote(self, bundle_id: str, alias: str) -> None:
        """Points `alias` at a bundle, after all its files were checked."""
        _check_alias(alias, self._bundle_ids())
        bundle = self.show(bundle_id)
        aliases = self.aliases()
        history = (*aliases.aliases.get(alias, ()), Promotion(bundle_id=bundle.bundle_id))
        self._write({**aliases.aliases, alias: history})

    def rollback(self, alias: str) -> str:
        """Points `alias` at the bundle it named before the last promotion; returns that bundle's id.

        Raises:
            BundleError: there is no such alias or nothing before, or the earlier bundle is not whole any more.
        """
        aliases = self.aliases()
        standing = aliases.standing(alias)
        if len(standing) < 2:
            raise BundleError(f"alias {alias!r} of {self.location.uri} should have an earlier bundle, has none")
        previous = self.show(standing[-2].bundle_id).bundle_id
        ended = standing[-1].model_copy(update={"withdrawn": utc_now()})
        history = (ended if entry is standing[-1] else entry for entry in aliases.aliases[alias])
        self._write({**aliases.aliases, alias: tuple(history)})
        return previous

    def verify(self) -> tuple[Verdict, ...]:
        """Reads every file of every bundle and compares it with its SHA-256."""
        return tuple(Verdict(folder.name, _problem(folder)) for folder in self._bundles())

    def _write(self, aliases: Mapping[str, tuple[Promotion, ...]]) -> None:
        content = Aliases(aliases=dict(aliases)).model_dump_json(indent=2) + "\n"
        (self.location / ALIASES).write_bytes(content.encode())

    def _bundles(self) -> tuple[Location, ...]:
        return tuple(folder for folder in self.location.list_folder() if (folder / MANIFEST).exists())

    def _bundle_ids(self) -> tuple[str, ...]:
        return tuple(folder.name for folder in self._bundles())


def locate_bundle(uri: str) -> str:
    """The absolute URI of the bundle that a URI, `REGISTRY#ALIAS` or `REGISTRY#BUNDLE_ID` names now.

    Raises BundleError when there is none.
    """
    registry, hash_sign, alias_or_id = uri.rpartition("#")
    if hash_sign and not (resolve(uri) / MANIFEST).exists():  # a local folder may have a # in its name
        return Registry(registry).resolve(alias_or_id)
    location = resolve(uri)
    read_manifest(location)
    return location.uri


def open_bundle(uri: str) -> ModelBundle:
    """The bundle that `locate_bundle` finds. Raises as `read_bundle`."""
    return read_bundle(locate_bundle(uri))


def _check_alias(alias: str, bundle_ids: tuple[str, ...]) -> None:
    if not alias.replace("-", "_").isidentifier() or alias in bundle_ids:
        raise ConfigError(f"an alias should be a plain word that is no bundle's id, such as production; was {alias!r}")


def _problem(folder: Location) -> str | None:
    try:
        manifest, _ = verify_bundle(folder)
    except BundleError as problem:
        return str(problem)
    if manifest.bundle_id != folder.name:
        return f"{folder.uri}: should hold bundle {folder.name}, holds {manifest.bundle_id}"
    return None
