"""The library from a notebook (docs/library.md): open a dataset, train one setting, open a bundle, score with it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.bundle import registry
from sepl.bundle.format import ModelBundle, compose_bundle, write_bundle
from sepl.bundle.manifest import MANIFEST
from sepl.config import DeviceName, TrialConfig
from sepl.data.cohort.known import KnownColumns, name_known_columns
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.tables.table import TABLE_SUFFIXES
from sepl.errors import ConfigError
from sepl.execution.progress import track
from sepl.metrics import Evaluation
from sepl.scoring.compose import compose_content, provenance_of_one
from sepl.scoring.known import KnownValues, check_rows
from sepl.scoring.patients import patient_keys
from sepl.scoring.readings import Photograph
from sepl.scoring.rows import Score
from sepl.scoring.scorer import Scorer
from sepl.scoring.sources import PhotographSource, find_photographs, read_file
from sepl.scoring.table import score_table
from sepl.storage import check_unpublished, resolve
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun
from sepl.training.supervised.run import train as epochs_of

if TYPE_CHECKING:
    import pandas as pd

Picture = str | Path | NDArray[np.uint8]
"""A photograph's file, or its pixels (H, W, 3) RGB as a camera gives them."""


def open_dataset(uri: str | Path) -> PreparedDataset:
    """The dataset that `jobs.prepare` wrote; DatasetError when there is none or it is not whole."""
    return PreparedDataset.open(uri)


def train(
    dataset: PreparedDataset | str | Path,
    config: TrialConfig | Mapping[str, Any] | None = None,
    *,
    device: DeviceName = "auto",
    out: str | Path | None = None,
) -> ModelBundle:
    """Trains one setting, keeps the best epoch, calibrates, evaluates on the validation patients; shows its epochs.

    As `jobs.train`, but nothing is written unless `out` says where the bundle goes.

    Args:
        dataset: opened, or its URI.
        config: hyperparameters by name, such as `{"backbone": "resnet50", "num_epochs": 10}`; the others have their
            defaults.
        device: auto is a GPU when there is one.
        out: a new local folder, s3://… or gs://….

    Raises:
        ConfigError: a hyperparameter is wrong.
        DivergedError: the loss was not finite.
        StorageError: there is a bundle at `out` already.
    """
    if out is not None:
        check_unpublished(resolve(out), MANIFEST)  # rather than after the training
    dataset = dataset if isinstance(dataset, PreparedDataset) else open_dataset(dataset)
    setting = config if isinstance(config, TrialConfig) else TrialConfig.from_params(config or {})
    setting.model.check_publishable()
    run = TrainingRun(setting, TrainingData.load(dataset, device=device))
    for _ in track(epochs_of(run), setting.training.num_epochs, "epochs"):
        pass
    provenance = provenance_of_one(setting, dataset, run.best_epoch)
    state = run.best_state()
    content = compose_content(
        setting,
        dataset,
        state,
        provenance,
        cohort_split="validation",
        normalisation=run.network.normalisation,
        unvalidated=state,
    )
    return compose_bundle(**content)[0] if out is None else write_bundle(out, **content)


def open_bundle(bundle: ModelBundle | str | Path, device: DeviceName = "auto", batch_size: int = 64) -> "Model":
    """The model of a bundle: its folder, REGISTRY#ALIAS, or what `train` gave.

    Raises BundleError when it is not what was published, ConfigError for a GPU that is not there.
    """
    opened = bundle if isinstance(bundle, ModelBundle) else registry.open_bundle(str(bundle))
    return Model(Scorer(opened, device, batch_size))


class Model:
    """A bundle ready to score."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    @property
    def bundle(self) -> ModelBundle:
        return self.scorer.bundle

    @property
    def evaluation(self) -> Evaluation | None:
        """How good it is, on which patients; None of a bundle without evaluation."""
        return self.bundle.evaluation

    def __repr__(self) -> str:
        manifest = self.bundle.manifest
        model, tasks = manifest.config.model, ", ".join(manifest.tasks.names)
        text = f"<Model {manifest.bundle_id}: {model.family} on {model.backbone}, {manifest.image.size} px; {tasks}"
        if self.evaluation is not None:
            what = f"{self.evaluation.num_patients} {self.evaluation.cohort_split} patients"
            text += f"; mean skill {self.evaluation.mean_skill} on {what}"
        return f"{text}>"

    def score(
        self,
        photographs: "Picture | pd.DataFrame | Iterable[Picture]",
        *,
        patients: Sequence[str] = (),
        eyes: Sequence[str] = (),
        image_column: str = "image",
        patient_column: str | None = None,
        eye_column: str | None = None,
        images: str | Path | None = None,
        known: Sequence[KnownValues] | Mapping[str, str] = (),
    ) -> "pd.DataFrame":
        """Scores, one row a photograph in order: the columns of `jobs.score`; `attrs["units"]` has the tasks' units.

        Args:
            photographs: one or several of files and arrays (H, W, 3), uint8 RGB, which go through the same crop, gate
                and resize as a file; or a folder, a table's file or a DataFrame with a column of paths.
            patients: of files and arrays, whose each is; those of one patient are judged together.
            eyes: of files and arrays, "left" or "right"; for models that see left eyes mirrored.
            image_column, patient_column, eye_column: of a table or DataFrame, as in `jobs.score`.
            images: where paths begin; by default beside a table's file, else the working folder.
            known: what is known of the patients beside the photographs (docs/known_values.md). Of files and arrays, one
                mapping a photograph of values by task, in its unit, 0 or 1 of a binary one; of a table or DataFrame, by
                task the column that tells it, such as `{"age": "Alter"}`, as in `jobs.score --known-column`.

        Raises:
            ConfigError: an array is no photograph, there are not as many patients, eyes or known values as photographs,
                or the bundle cannot be told these.
            CohortError: a table cannot be read or lacks a column.
        """
        import pandas as pd

        columns = {"image_column": image_column, "patient_column": patient_column, "eye_column": eye_column}
        if isinstance(photographs, pd.DataFrame):
            root = "." if images is None else str(images)
            source = _of_frame(photographs, columns, root, self._reader(known))
            return self._frame(self._score_source(source)).set_index(photographs.index)
        if isinstance(photographs, str | Path) and _is_many(str(photographs)):
            told = {"images": None if images is None else str(images), "known": self._reader(known)}
            return self._frame(self._score_source(find_photographs(str(photographs), **told, **_given(columns))))
        named = _of_pictures(photographs, patients, eyes, "." if images is None else str(images))
        if isinstance(known, Mapping):
            raise ConfigError(f"known should be a sequence of one mapping a photograph, was the mapping {known!r}")
        rows = check_rows(known, len(named), self.bundle.manifest)
        return self._frame(
            self.scorer.score_photographs([replace(one, known=row) for one, row in zip(named, rows, strict=True)])
        )

    def _reader(self, known: Sequence[KnownValues] | Mapping[str, str]) -> KnownColumns | None:
        if not known:
            return None
        if not isinstance(known, Mapping):
            raise ConfigError("known should name a column by task where photographs are of a table, was a sequence")
        self.scorer.check_known(list(known))
        return name_known_columns(known, self.bundle.manifest.tasks)

    def _score_source(self, source: PhotographSource) -> list[Score]:
        return [score for batch in self.scorer.stream(source, source.order) for score in batch]

    def _frame(self, scores: Sequence[Score]) -> "pd.DataFrame":
        manifest = self.bundle.manifest
        frame = score_table(scores, manifest).to_pandas()
        frame.attrs = {
            "units": {task.name: task.unit for task in manifest.tasks},
            "bundle_id": manifest.bundle_id,
            "interval_confidence": manifest.intervals.confidence,
        }
        return frame


def _is_many(uri: str) -> bool:
    return uri.lower().endswith(TABLE_SUFFIXES) or resolve(uri).is_folder()


def _given(columns: Mapping[str, str | None]) -> dict[str, Any]:
    return {role: column for role, column in columns.items() if column is not None}


def _of_frame(
    frame: "pd.DataFrame", columns: Mapping[str, str | None], root: str, known: KnownColumns | None
) -> PhotographSource:
    """Read as a file of it would be, so that ids, eyes, known values and absent cells mean the same."""
    told = known.columns_among(frame.columns) if known else {}
    wanted = list(dict.fromkeys([*_given(columns).values(), *told.values()]))
    absent = [column for column in wanted if column not in frame.columns]
    if absent:
        raise ConfigError(f"the DataFrame should have the column {absent[0]!r}, has {', '.join(map(str, frame))}")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "photographs.parquet"
        cells = frame[wanted]
        texts = {name: cells[name].map(str, na_action="ignore") for name in wanted if cells[name].dtype == object}
        cells.assign(**texts).to_parquet(path, index=False)
        return find_photographs(str(path), images=root, known=known, **_given(columns))


def _of_pictures(
    pictures: Picture | Iterable[Picture], patients: Sequence[str], eyes: Sequence[str], root: str
) -> list[Photograph]:
    is_one = isinstance(pictures, str | Path) or (isinstance(pictures, np.ndarray) and pictures.ndim == 3)
    several: list[Any] = [pictures] if is_one else list(pictures)  # type: ignore[arg-type]
    if eyes and len(eyes) != len(several):
        raise ConfigError(f"eyes should be one a photograph, {len(several)}, were {len(eyes)}")
    keys = patient_keys(patients, len(several))
    place = resolve(root)
    photographs = []
    for number, (picture, key) in enumerate(zip(several, keys, strict=True)):
        is_array = isinstance(picture, np.ndarray)
        if is_array:
            _check(picture, number)
        name = str(number) if is_array else str(picture)
        read = partial(_encode, picture) if is_array else partial(read_file, place, name)
        photographs.append(Photograph(name, read, eyes[number] if eyes else "", key))
    return photographs


def _check(pixels_HWC: NDArray[Any], number: int) -> None:
    if pixels_HWC.dtype != np.uint8 or pixels_HWC.ndim != 3 or pixels_HWC.shape[2] != 3 or not pixels_HWC.size:
        raise ConfigError(
            f"array {number} should be a photograph (height, width, 3) of uint8 RGB, "
            f"was {pixels_HWC.shape} of {pixels_HWC.dtype}"
        )


def _encode(pixels_HWC: NDArray[np.uint8]) -> bytes:
    """A file of exactly these pixels, so that an array takes a file's way."""
    _, data = cv2.imencode(".png", cv2.cvtColor(pixels_HWC, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return data.tobytes()
