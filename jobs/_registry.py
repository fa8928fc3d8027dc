"""What `python -m jobs.registry` can do, one class a subcommand."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sepl.errors import BundleError

if TYPE_CHECKING:
    from sepl.bundle.registry import Registry


@dataclass(frozen=True, kw_only=True)
class _OfRegistry:
    registry: str
    """The registry's folder: a local path, s3://… or gs://…."""

    def open(self) -> "Registry":
        from sepl.bundle.registry import Registry

        return Registry(self.registry)


class List(_OfRegistry):
    """Bundles, oldest first, with the aliases that name them."""

    def run(self) -> None:
        registry = self.open()
        aliases = registry.aliases()
        for manifest in registry.list():
            names = [alias for alias in aliases.aliases if aliases.current(alias) == manifest.bundle_id]
            print(f"{manifest.bundle_id}  {manifest.provenance.created.isoformat()}  {' '.join(names)}".rstrip())


@dataclass(frozen=True, kw_only=True)
class Show(_OfRegistry):
    """A bundle's model card, after its files were checked."""

    bundle: str
    """An alias or a bundle's id."""

    def run(self) -> None:
        print(self.open().card(self.bundle))


@dataclass(frozen=True, kw_only=True)
class Promote(_OfRegistry):
    """Point an alias at a bundle, after its files were checked."""

    bundle: str
    """A bundle's id, or another alias."""
    alias: str
    """Such as production."""

    def run(self) -> None:
        self.open().promote(self.bundle, self.alias)
        print(f"{self.alias} is {self.bundle}")


@dataclass(frozen=True, kw_only=True)
class Rollback(_OfRegistry):
    """Point an alias at the bundle it named before."""

    alias: str
    """The alias to roll back."""

    def run(self) -> None:
        print(f"{self.alias} is {self.open().rollback(self.alias)}")


class Verify(_OfRegistry):
    """Read every file of every bundle and compare it with its SHA-256."""

    def run(self) -> None:
        verdicts = self.open().verify()
        for verdict in verdicts:
            print(f"{verdict.bundle_id}  {verdict.problem or 'whole'}")
        num_wrong = sum(verdict.problem is not None for verdict in verdicts)
        if num_wrong:
            raise BundleError(f"{num_wrong} of {len(verdicts)} bundles are not what was published")
