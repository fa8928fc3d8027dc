"""Who has read which sealed test patients, over all studies that share a registry.

    REGISTRY/readings/20251129T140102-3f9ac0de.json    one reading, written before the patients are read

A reading is a file of its own and is never changed but to name the bundle that came of it, so that readers at the same
moment lose nothing of each other's. Patients are those of a cohort's test split, whatever the size of its photographs:
a set is known by the digest of its patients, and readings of versions that kept no such ledger by the dataset.
"""

import uuid
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version

from pydantic import AwareDatetime, Field

from sepl.bundle.manifest import utc_now
from sepl.bundle.skills import tell_readings
from sepl.bundle.unsealing import readings_by_study
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import BundleError
from sepl.settings import Settings
from sepl.storage import Location, resolve, sha256_of

FOLDER = "readings"
_JOINER = "\x1f"


class SealedSet(Settings):
    """The sealed test patients of a dataset."""

    fingerprint: str
    """Of the dataset."""
    patients: str
    """SHA-256 of who they are, by the names that the dataset has for them."""
    num_patients: int

    @classmethod
    def of(cls, dataset: PreparedDataset) -> "SealedSet":
        names = sorted(set(dataset.photographs("test").patients.tolist()))
        return cls(
            fingerprint=dataset.fingerprint,
            patients=sha256_of(_JOINER.join(names).encode()),
            num_patients=len(names),
        )


class SealedReading(Settings):
    """One reading."""

    sealed: SealedSet
    study: str
    bundle: str | None = None
    """None when none was published: the reading was interrupted, or is going on."""
    model: str = ""
    """Whose weights were tested, such as trial 12."""
    command: str
    begun: AwareDatetime = Field(default_factory=utc_now)
    sepl_version: str = Field(default_factory=lambda: version("sepl"))


@dataclass(frozen=True)
class ReadingCount:
    """How often sealed patients were read, and by how many studies."""

    num_readings: int
    num_studies: int

    def told(self) -> str:
        """In a sentence; empty when nobody has read them."""
        return tell_readings(self.num_readings, self.num_studies)


@dataclass(frozen=True)
class Ledger:
    """The readings kept below a registry, or another folder."""

    place: Location

    @classmethod
    def beside(cls, bundle_uri: str, bundle_id: str, out: Location) -> "Ledger":
        """Of the registry that a bundle lies in; of one that lies elsewhere, beside the output `out`."""
        bundle = resolve(bundle_uri)
        return cls(_folder_of(bundle if bundle.name == bundle_id else out))

    def note(self, reading: SealedReading) -> Location:
        """Keeps a reading; to be called before the patients are read. Raises StorageError."""
        place = self.place / FOLDER / f"{reading.begun:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}.json"
        _write(place, reading)
        return place

    def name_bundle(self, place: Location, reading: SealedReading, bundle_id: str) -> None:
        """Adds to a reading noted at `place` the bundle that came of it."""
        _write(place, reading.model_copy(update={"bundle": bundle_id}))

    def readings(self) -> tuple[SealedReading, ...]:
        """All of them, oldest first. Raises BundleError for a file that is damaged."""
        files = [file for file in (self.place / FOLDER).list_folder() if _is_reading(file.name)]
        found = [SealedReading.parse_json(file.read_bytes(), file.uri, BundleError) for file in files]
        return tuple(sorted(found, key=lambda reading: reading.begun))

    def count(self, fingerprint: str, patients: str | None = None) -> ReadingCount:
        """Of the patients with this digest; without it, of those that readings of the dataset tell."""
        readings = self.readings()
        digests = {row.sealed.patients for row in readings if row.sealed.fingerprint == fingerprint}
        digests = digests if patients is None else {patients}
        by_study = Counter(row.study for row in readings if row.sealed.patients in digests)
        own = Counter(row.study for row in readings if row.sealed.fingerprint == fingerprint)
        for study, count in readings_by_study(self.place, fingerprint).items():
            by_study[study] += max(0, count - own[study])  # of versions that kept no ledger
        return ReadingCount(by_study.total(), len([study for study, count in by_study.items() if count]))


def _is_reading(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(".")  # not one that is being written


def _write(place: Location, reading: SealedReading) -> None:
    place.write_bytes((reading.model_dump_json(indent=2) + "\n").encode())


def _folder_of(place: Location) -> Location:
    """The folder that a place lies in."""
    address, question_mark, query = place.uri.partition("?")
    above = address.rstrip("/").rpartition("/")[0] or "/"
    path = place.path.rstrip("/").rpartition("/")[0] or "/"
    return Location(place.filesystem, path, f"{above}{question_mark}{query}")
