"""Where a run writes, and how what it wrote becomes the dataset: at once, the manifest last.

A local place that is new appears by a rename of the folder. In an object store, and where a dataset stands already,
files are added, then the manifest is switched; shards are named by content and the tables of the dataset before are
kept under their digests, so that whoever holds the old manifest reads on, and a run killed anywhere leaves one of the
two datasets whole. What only older manifests named is removed at the end.
"""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sepl.data.dataset.dataset import MANIFEST_FILE, Manifest, read_manifest, table_under_digest
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.preparation.facts import Sources
from sepl.errors import StorageError
from sepl.locking import Hold
from sepl.storage import Location, sha256_of

_OURS = re.compile(r"^([a-z]+-[0-9a-f]{3,64}\.arrow|(labels|rejected|findings|sources)-[0-9a-f]{12}\.(parquet|csv))$")


@dataclass(frozen=True, eq=False)
class Output:
    """The place of a dataset while it is being prepared."""

    target: Location
    before: Manifest | None
    """Of the dataset that stands there."""
    work: Location
    """What is done so far, kept until the dataset is published."""

    @classmethod
    def at(cls, target: Location, name: str, spec: ImageSpec) -> "Output":
        """Raises StorageError when something else lies there: another cohort's dataset, or no dataset at all."""
        work = _beside(target) if target.is_local else target / ".preparing"
        if (target / MANIFEST_FILE).exists():
            before = read_manifest(target)
            if (before.name, before.image) != (name, spec):
                raise StorageError(
                    f"{target.uri} already holds a prepared dataset, {before.name!r} at {before.image.size} pixels, "
                    f"which {name!r} at {spec.size} pixels does not continue; give another place or remove it first"
                )
            return cls(target, before, work)
        if target.is_local and target.exists() and (not target.is_folder() or target.list_folder()):
            raise StorageError(
                f"{target.uri} should be a new or an empty folder, is neither; publishing would replace it"
            )
        return cls(target, None, work)

    @property
    def shards(self) -> Location:
        """Where shards are written."""
        return self.work / "dataset" if self._appears_at_once else self.target

    @property
    def _appears_at_once(self) -> bool:
        return self.target.is_local and self.before is None

    def begin(self) -> None:
        if self.work.is_local:
            for name in ("pixels", "chunks", "shards", "dataset", "incoming"):
                (self.work.local_path() / name).mkdir(parents=True, exist_ok=True)

    @property
    def attempt(self) -> Location:
        """What a run remembers that decoded and could not publish."""
        return self.work / "sources.parquet"

    def sources(self) -> Sources | None:
        """What is remembered of the dataset that stands there."""
        return None if self.before is None else Sources.read(self.target / sources_file(self.before))

    def publish(self, tables: Path, manifest: Manifest, held: Hold) -> None:
        """Brings the files of a local folder and the manifest beside the shards."""
        names = sorted(path.relative_to(tables).as_posix() for path in tables.rglob("*") if path.is_file())
        if self.before is not None:
            self._keep_tables_of(self.before)
        for name in names:
            self._put(name, (tables / name).read_bytes())
        held.check()
        self._put(MANIFEST_FILE, manifest.model_dump_json(indent=1).encode())
        if self._appears_at_once:
            self._let_appear({*names, MANIFEST_FILE, *(shard.file for shard in manifest.shards)})
        else:
            self._remove_outdated(manifest, names)
        self.forget()

    def forget(self) -> None:
        """Removes what was kept of work in progress; first what says that the rest is there."""
        _delete([self.attempt] if self.attempt.exists() else [])
        if self.work.is_local:
            shutil.rmtree(self.work.local_path(), ignore_errors=True)
        else:
            self.work.delete_folder()

    def forget_chunks(self) -> None:
        """Removes the facts of the chunks that are done; their pixels stay."""
        _delete((self.work / "chunks").list_folder())

    def _put(self, name: str, content: bytes) -> None:
        """Writes a file of the dataset, whole or not at all; what a kill leaves behind is in the work place."""
        place = self.shards / name
        if not place.is_local:
            place.write_bytes(content)
            return
        staging = self.work / "incoming" / "file"
        staging.write_bytes(content)
        place.local_path().parent.mkdir(exist_ok=True)
        staging.local_path().replace(place.local_path())

    def _let_appear(self, names: set[str]) -> None:
        folder = self.shards.local_path()
        for path in folder.rglob("*"):  # of a run before, over a cohort that has changed since
            if path.is_file() and path.relative_to(folder).as_posix() not in names:
                path.unlink()
        try:
            folder.replace(self.target.local_path())  # replaces an empty folder too
        except OSError as problem:
            raise StorageError(f"cannot publish at {self.target.uri}: {problem.strerror}") from problem

    def _keep_tables_of(self, before: Manifest) -> None:
        for name, sha256 in before.tables.items():
            place, kept = self.target / name, self.target / table_under_digest(name, sha256)
            if not kept.exists() and place.exists():
                content = place.read_bytes()
                if sha256_of(content) == sha256:
                    self._put(kept.name, content)

    def _remove_outdated(self, manifest: Manifest, names: list[str]) -> None:
        wanted = {*names, *_files_of(manifest), *(_files_of(self.before) if self.before else ())}
        for place in self.target.list_folder():
            if _OURS.match(place.name) and place.name not in wanted:
                place.filesystem.delete_file(place.path)
        for place in (self.target / "thumbnails").list_folder():
            if f"thumbnails/{place.name}" not in names:
                place.filesystem.delete_file(place.path)


def _delete(places: Iterable[Location]) -> None:
    for place in places:
        place.filesystem.delete_file(place.path)


def sources_file(manifest: Manifest) -> str:
    return f"sources-{manifest.fingerprint[:12]}.parquet"


def _files_of(manifest: Manifest) -> set[str]:
    tables = {table_under_digest(name, sha256) for name, sha256 in manifest.tables.items()}
    return {sources_file(manifest), *tables, *(shard.file for shard in manifest.shards)}


def _beside(target: Location) -> Location:
    path = target.local_path()
    place = path.parent / f".{path.name}-preparing"
    return Location(target.filesystem, str(place), str(place))
