"""A bundle calibrated anew takes known values, and the old one stays as it is."""

from pathlib import Path

import pytest
from builders import build_cohort, build_dataset

from jobs import calibrate
from sepl.bundle.format import BundleContent, Intervals, Provenance, read_bundle, write_bundle
from sepl.config import TrialConfig
from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.preparation.prepare import prepare
from sepl.errors import DatasetError, StorageError
from sepl.models.backbone.normalisation import backbone_normalisation
from sepl.models.build import build_network
from sepl.scoring.compose import calibrated_anew
from sepl.scoring.scorer import Scorer


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("data"), num_patients=20)


def _content(dataset: PreparedDataset, size: int | None = None) -> BundleContent:
    config = TrialConfig.from_params(
        {"backbone": "test_resnet", "task_split": "demographic", "num_experts": 2, "hidden_width": 8}
    )
    image = dataset.image_spec.for_network(backbone_normalisation(config.model.backbone, config.model.weights))
    return BundleContent(
        config=config,
        tasks=dataset.tasks,
        image=image if size is None else image.model_copy(update={"size": size}),
        quality=None,
        scaler=dataset.scaler,
        intervals=Intervals(),
        provenance=Provenance(study="old", dataset_uri="elsewhere", fingerprint="f" * 64),
        state=build_network(config.model, dataset.tasks, size or image.size).state_dict(),
        evaluation=None,
    )


def test_a_bundle_calibrated_anew_takes_known_values_and_the_old_one_stays(
    dataset: PreparedDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = write_bundle(tmp_path / "old", **_content(dataset))

    calibrate.main(str(tmp_path / "old"), dataset.uri, str(tmp_path / "new"), device="cpu")

    new = read_bundle(tmp_path / "new")
    assert "known values may be given" in capsys.readouterr().out
    assert read_bundle(tmp_path / "old").manifest == old.manifest
    assert new.bundle_id != old.bundle_id
    assert new.manifest.provenance == old.manifest.provenance
    assert all(value.equal(old.state[name]) for name, value in new.state.items())
    assert new.manifest.conditioning is not None
    assert new.manifest.conditioning.num_patients == dataset.manifest.num_patients["calibration"]
    Scorer(new, device="cpu").check_known(["age"])


def test_an_older_bundle_takes_the_rules_of_its_own_dataset_and_of_no_other(tmp_path: Path) -> None:
    cohort_file = build_cohort(tmp_path / "cohort", num_patients=20)
    column = 'column = "diabetes"\nkind = "binary"\n'
    cohort_file.write_text(cohort_file.read_text().replace(column, 'when = "hba1c >= 6.5"\n'))
    prepare(read_cohort(cohort_file), tmp_path / "dataset", 32, num_workers=1)
    dataset = PreparedDataset.open(tmp_path / "dataset")
    for name, fingerprint in (("own", dataset.fingerprint), ("other", "f" * 64)):
        provenance = Provenance(study="old", dataset_uri="elsewhere", fingerprint=fingerprint)
        bundle = write_bundle(tmp_path / name, **{**_content(dataset), "provenance": provenance})
        content = calibrated_anew(Scorer(bundle, device="cpu"), dataset)

        assert content.get("rules") == ({"diabetes": "hba1c >= 6.5"} if name == "own" else {})


def test_nothing_is_overwritten(dataset: PreparedDataset, tmp_path: Path) -> None:
    write_bundle(tmp_path / "old", **_content(dataset))

    with pytest.raises(StorageError):
        calibrate.main(str(tmp_path / "old"), dataset.uri, str(tmp_path / "old"), device="cpu")


def test_a_dataset_prepared_otherwise_is_refused(dataset: PreparedDataset, tmp_path: Path) -> None:
    write_bundle(tmp_path / "large", **_content(dataset, size=64))

    with pytest.raises(DatasetError, match="photographs should be prepared as for the bundle"):
        calibrate.main(str(tmp_path / "large"), dataset.uri, str(tmp_path / "new"), device="cpu")
    assert not (tmp_path / "new").exists()
