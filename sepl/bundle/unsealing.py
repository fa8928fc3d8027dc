"""That a study has read its sealed test patients: written before they are read, beside the bundles.

    REGISTRY/unsealed/<study>-<fingerprint>.json

The database of a study can be lost, or its connection at the wrong moment; what was seen stays seen.
"""

import re
from dataclasses import dataclass
from importlib.metadata import version

from pydantic import AwareDatetime, Field

from sepl.bundle.manifest import MANIFEST, BundleManifest, parse_manifest, utc_now
from sepl.errors import BundleError
from sepl.settings import Settings
from sepl.storage import Location

FOLDER = "unsealed"
_DIGITS = 12  # of the fingerprint, in a file's name


class Unsealing(Settings):
    """One reading of the sealed test patients."""

    begun: AwareDatetime = Field(default_factory=utc_now)
    trial: str
    """Whose weights were tested."""
    sepl_version: str = Field(default_factory=lambda: version("sepl"))


class _Unsealings(Settings):
    """The content of a file of the folder."""

    study: str
    fingerprint: str
    readings: tuple[Unsealing, ...] = ()


@dataclass(frozen=True)
class UnsealingRecord:
    """The readings of one study's sealed test patients, those of the dataset with this fingerprint."""

    registry: Location
    study: str
    fingerprint: str

    def num_readings(self) -> int:
        """How often they were read; a bundle of a version that kept no record tells of its reading too."""
        return max(len(self._read().readings), len(self.bundles()))

    def bundles(self) -> tuple[BundleManifest, ...]:
        """What the study published of this dataset, oldest first."""
        bundle_id = re.compile(f"{re.escape(self.study)}-[0-9a-f]{{12}}")
        folders = [folder for folder in self.registry.list_folder() if bundle_id.fullmatch(folder.name)]
        places = [folder / MANIFEST for folder in folders if (folder / MANIFEST).exists()]
        manifests = [parse_manifest(place.read_bytes(), place.uri) for place in places]
        own = [manifest for manifest in manifests if manifest.provenance.fingerprint == self.fingerprint]
        return tuple(sorted(own, key=lambda manifest: manifest.provenance.created))

    def note(self, trial: str) -> None:
        """Keeps that the patients are read now; to be called before they are. Raises StorageError."""
        before = self._read()
        content = before.model_copy(update={"readings": (*before.readings, Unsealing(trial=trial))})
        self._place.write_bytes((content.model_dump_json(indent=2) + "\n").encode())

    @property
    def _place(self) -> Location:
        return self.registry / FOLDER / f"{self.study}-{self.fingerprint[:_DIGITS]}.json"

    def _read(self) -> _Unsealings:
        if not self._place.exists():
            return _Unsealings(study=self.study, fingerprint=self.fingerprint)
        return _Unsealings.parse_json(self._place.read_bytes(), self._place.uri, BundleError)


def readings_by_study(registry: Location, fingerprint: str) -> dict[str, int]:
    """How often each study of a registry noted that it reads the sealed patients of this dataset."""
    files = [file for file in (registry / FOLDER).list_folder() if not file.name.startswith(".")]
    notes = [_Unsealings.parse_json(file.read_bytes(), file.uri, BundleError) for file in files]
    return {note.study: len(note.readings) for note in notes if note.fingerprint == fingerprint}
