import json
import shutil
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from builders import build_dataset

from sepl.data.dataset.dataset import Manifest, PreparedDataset
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.errors import DatasetError
from sepl.storage import sha256_of_file


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return build_dataset(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def copy(dataset, tmp_path):
    """A folder that a test may spoil."""
    return shutil.copytree(dataset.folder, tmp_path / "copy")


def test_cohort_splits_share_neither_patients_nor_shards(dataset):
    parts = [dataset.photographs(name) for name in COHORT_SPLITS]

    for index, part in enumerate(parts):
        assert part.num_photographs == dataset.manifest.num_photographs[COHORT_SPLITS[index]] > 0
        assert part.num_patients == dataset.manifest.num_patients[COHORT_SPLITS[index]]
        others = {patient for other in parts[:index] for patient in other.patients}
        assert not others & set(part.patients)
    assert sum(len(part.shards) for part in parts) == len(dataset.manifest.shards)


def test_labels_images_and_pixels_stand_in_the_same_order(dataset):
    photographs = dataset.photographs("train")
    pixels_NHWC = np.concatenate(photographs.shards)

    assert len(pixels_NHWC) == len(photographs.images) == len(photographs.labels_NT)
    ages_N = photographs.labels_NT[:, dataset.tasks.index("age")]
    reds_N = pixels_NHWC[:, 24, 16, 0]  # below the middle, where no spot is drawn
    assert np.corrcoef(ages_N, reds_N)[0, 1] > 0.95


def test_joined_splits_are_the_splits_one_after_the_other(dataset):
    joined = dataset.photographs("validation", "train")

    assert joined.cohort_splits == ("train", "validation")
    expected = [*dataset.photographs("train").images, *dataset.photographs("validation").images]
    assert joined.images.tolist() == expected
    assert sum(len(shard) for shard in joined.shards) == len(expected)


def test_absent_labels_stay_absent(dataset):
    labels_NT = dataset.photographs(*COHORT_SPLITS).labels_NT

    assert 0 < np.isnan(labels_NT[:, dataset.tasks.index("hba1c")]).mean() < 0.3
    assert not np.isnan(labels_NT[:, dataset.tasks.index("age")]).any()


def test_per_patient_values_are_means_of_the_eyes(dataset):
    photographs = dataset.photographs("test")
    values_NT = np.arange(photographs.num_photographs, dtype=float)[:, None]

    means_PT = photographs.per_patient(values_NT)

    first = photographs.patients == photographs.patients[0]
    assert means_PT.shape == (photographs.num_patients, 1)
    assert means_PT[0, 0] == values_NT[first].mean()


def test_pixels_are_mapped_and_read_only(dataset):
    shard = dataset.photographs("train").shards[0]

    assert shard.shape[1:] == (32, 32, 3)
    assert not shard.flags.writeable


def test_units_are_in_the_label_table(dataset):
    schema = pq.read_schema(dataset.folder / "labels.parquet")

    assert schema.field("sbp").metadata[b"unit"] == b"mmHg"
    assert schema.field("diabetes").metadata[b"label"] == b"Diabetes"


def test_a_whole_dataset_verifies(dataset):
    dataset.verify()


def shard_of(folder, cohort_split):
    return next(folder.glob(f"{cohort_split}-*.arrow"))


@pytest.mark.parametrize("name", ["train-*.arrow", "labels.parquet", "rejected.csv", "findings.csv"])
def test_a_changed_byte_is_found_by_verify(copy, name):
    path = next(copy.glob(name))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(DatasetError, match=path.name):
        PreparedDataset.open(copy).verify()


def test_a_shortened_shard_is_refused_when_opened(copy):
    shard = shard_of(copy, "test")
    shard.write_bytes(shard.read_bytes()[:-1])

    with pytest.raises(DatasetError, match=r"test-[0-9a-f]+.arrow should have \d+ bytes, had \d+"):
        PreparedDataset.open(copy)


def test_a_missing_shard_is_refused_when_opened(copy):
    shard_of(copy, "test").unlink()

    with pytest.raises(DatasetError, match=r"test-[0-9a-f]+.arrow should have \d+ bytes, is missing"):
        PreparedDataset.open(copy)


def test_a_label_table_of_another_dataset_is_refused(copy):
    pq.write_table(pq.read_table(copy / "labels.parquet").slice(0, 3), copy / "labels.parquet")

    with pytest.raises(DatasetError, match=r"labels.parquet is not the file that was published"):
        PreparedDataset.open(copy).photographs("train")


def test_where_no_manifest_is_there_is_no_dataset(copy):
    (copy / "manifest.json").unlink()

    with pytest.raises(DatasetError, match=r"no prepared dataset at .*jobs.prepare"):
        PreparedDataset.open(copy)


def test_another_format_is_refused_before_its_keys_are_read(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "format": 99, "news": 1}))

    with pytest.raises(DatasetError, match="format should be 2, was 99"):
        PreparedDataset.open(copy)


@pytest.mark.parametrize("text", ["", "[]", "null", '{"format": 1}'])
def test_a_manifest_that_is_none_is_refused(copy, text):
    (copy / "manifest.json").write_text(text)

    with pytest.raises(DatasetError, match=r"manifest.json"):
        PreparedDataset.open(copy)


def test_a_shard_outside_the_folder_is_refused(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["shards"][0]["file"] = "../train-000.arrow"
    (copy / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(DatasetError, match=r"shards.0.file"):
        PreparedDataset.open(copy)


def test_the_manifest_survives_json(dataset):
    manifest = dataset.manifest

    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


@pytest.mark.parametrize("cohort_splits", [(), ("training",), ("train", "all")])
def test_an_unknown_cohort_split_is_refused(dataset, cohort_splits):
    with pytest.raises(DatasetError, match="cohort_split should be one of train, validation, calibration, test"):
        dataset.photographs(*cohort_splits)


def test_opening_loads_neither_torch_nor_ray_nor_pandas(dataset):
    code = (
        "import sys; from sepl.data.dataset.dataset import PreparedDataset; "
        f"PreparedDataset.open({str(dataset.folder)!r}).photographs('train'); "
        "sys.exit(bool({'torch', 'ray', 'pandas'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def as_format_1(copy):
    """As a version before days were kept wrote it."""
    table = pq.read_table(copy / "labels.parquet").drop_columns(["day"])
    pq.write_table(table, copy / "labels.parquet")
    manifest = json.loads((copy / "manifest.json").read_text())
    tables = {**manifest["tables"], "labels.parquet": sha256_of_file(copy / "labels.parquet")}
    (copy / "manifest.json").write_text(json.dumps({**manifest, "format": 1, "tables": tables}))


def test_a_dataset_of_format_1_is_read_and_one_line_says_what_it_lacks(copy, dataset, caplog):
    as_format_1(copy)

    photographs = PreparedDataset.open(copy).photographs("train")

    now = dataset.photographs("train")
    np.testing.assert_array_equal(photographs.labels_NT, now.labels_NT)
    assert np.isnan(photographs.days).all()
    assert photographs.eyes.tolist() == now.eyes.tolist()
    assert [record.message for record in caplog.records] == [
        f"{copy} is of format 1, which tells no days between visits; the same jobs.prepare again brings it to 2, "
        "without decoding anything"
    ]


def test_a_dataset_prepared_before_its_limits_were_kept_opens_without_any(copy, dataset):
    raw = json.loads((copy / "manifest.json").read_text())
    assert raw.pop("quality")
    (copy / "manifest.json").write_text(json.dumps(raw))

    opened = PreparedDataset.open(copy)

    assert opened.manifest.quality is None
    assert opened.fingerprint == dataset.fingerprint
