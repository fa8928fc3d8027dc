import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import build_cohort

from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.imaging.photograph import read_photograph
from sepl.data.patients.splits import COHORT_SPLITS, assign_cohort_splits
from sepl.data.preparation.prepare import prepare
from sepl.data.preparation.summary import describe_prepared
from sepl.errors import CohortError, ConfigError, StorageError


@pytest.fixture
def cohort_file(tmp_path):
    return build_cohort(tmp_path / "cohort", num_patients=12)


def run(cohort_file, out, **options):
    return prepare(read_cohort(cohort_file), out, 32, **{"num_workers": 1, **options})


def test_the_number_of_workers_changes_nothing(cohort_file, tmp_path):
    first = run(cohort_file, tmp_path / "one", num_workers=1).manifest
    second = run(cohort_file, tmp_path / "three", num_workers=3).manifest

    assert first == second


def test_the_fingerprint_knows_nothing_of_place(cohort_file, tmp_path):
    moved = shutil.copytree(cohort_file.parent, tmp_path / "elsewhere")
    (moved / "images").rename(moved / "pictures")
    toml = (moved / "cohort.toml").read_text().replace('images = "images"', 'images = "pictures"')
    (moved / "cohort.toml").write_text(toml)

    here, there = run(cohort_file, tmp_path / "a"), run(moved / "cohort.toml", tmp_path / "b")

    assert here.manifest.fingerprint == there.manifest.fingerprint


def test_limits_of_quality_that_refuse_the_same_are_kept_and_give_the_same_fingerprint(cohort_file, tmp_path):
    other = shutil.copytree(cohort_file.parent, tmp_path / "other") / "cohort.toml"
    other.write_text(other.read_text().replace("sharpness = {}", "sharpness = {low = 0.0}"))

    one, two = run(cohort_file, tmp_path / "one").manifest, run(other, tmp_path / "two").manifest

    assert (one.quality, two.quality) == (read_cohort(cohort_file).quality, read_cohort(other).quality)
    assert one.quality != two.quality
    assert one.fingerprint == two.fingerprint


@pytest.mark.parametrize("change", ["a label", "a pixel", "the seed", "the size"])
def test_the_fingerprint_knows_the_content(cohort_file, tmp_path, change):
    before = run(cohort_file, tmp_path / "before").manifest.fingerprint
    if change == "a label":
        table = cohort_file.parent / "labels.csv"
        lines = table.read_text().splitlines()
        fields = lines[1].split(",")
        fields[4] = "77" if fields[4] != "77" else "78"
        table.write_text("\n".join([lines[0], ",".join(fields), *lines[2:]]))
    if change == "a pixel":
        pictures = sorted((cohort_file.parent / "images").iterdir())
        shutil.copy(pictures[0], pictures[5])

    seed = 1 if change == "the seed" else 0
    size = 48 if change == "the size" else 32
    after = prepare(read_cohort(cohort_file), tmp_path / "after", size, num_workers=2, seed=seed).manifest.fingerprint

    assert before != after


def test_prepared_pixels_are_what_read_photograph_gives(cohort_file, tmp_path):
    run(cohort_file, tmp_path / "out", keep_patient_ids=True)
    dataset = PreparedDataset.open(tmp_path / "out")
    photographs = dataset.photographs("train")

    for image, pixels in zip(photographs.images, photographs.shards[0], strict=True):
        path = cohort_file.parent / "images" / image
        assert np.array_equal(pixels, read_photograph(path.read_bytes(), dataset.image_spec))


def test_an_unreadable_photograph_costs_one_line(cohort_file, tmp_path):
    pictures = sorted((cohort_file.parent / "images").iterdir())
    pictures[0].unlink()
    pictures[3].write_bytes(pictures[3].read_bytes()[:200])
    pictures[4].write_bytes(b"")
    pictures[7].write_text("not a photograph")

    summary = run(cohort_file, tmp_path / "out", keep_patient_ids=True)

    with (tmp_path / "out" / "rejected.csv").open(newline="") as stream:
        rejected = {row["image"]: (int(row["row"]), row["reason"]) for row in csv.DictReader(stream)}
    names = [picture.name for picture in pictures]
    assert {name: reason for name, (_, reason) in rejected.items()} == {
        names[0]: "file not found",
        names[3]: "truncated PNG",
        names[4]: "empty file",
        names[7]: "not an image: should be JPEG, PNG, TIFF or DICOM",
    }
    lines = (cohort_file.parent / "labels.csv").read_text().splitlines()
    assert all(lines[row - 1].startswith(name) for name, (row, _) in rejected.items())
    assert sum(summary.manifest.num_photographs.values()) == 20
    assert summary.manifest.num_rejected == 4
    assert summary.rejected["not an image"] == 1
    dataset = PreparedDataset.open(tmp_path / "out")
    assert not set(rejected) & set(dataset.photographs(*COHORT_SPLITS).images)


def test_where_no_photograph_can_be_read_nothing_is_published(cohort_file, tmp_path):
    for picture in (cohort_file.parent / "images").iterdir():
        picture.write_bytes(b"")

    with pytest.raises(
        CohortError, match=r"no usable row, none of 24 photographs could be used; the first, of row 2: empty file"
    ):
        run(cohort_file, tmp_path / "deep" / "out")
    assert not list((tmp_path / "deep").iterdir())


@pytest.mark.parametrize("cohort_split", ["validation", "calibration", "test"])
def test_a_cohort_split_that_loses_all_its_photographs_is_told_and_nothing_is_published(
    cohort_file, tmp_path, cohort_split
):
    cohort = read_cohort(cohort_file)
    for name, of in zip(cohort.images, assign_cohort_splits(cohort.patients, seed=0), strict=True):
        if of == cohort_split:
            (cohort_file.parent / "images" / name).unlink()

    with pytest.raises(CohortError, match=rf"none of the \d+ photographs of the {cohort_split} patients .*, of row"):
        prepare(read_cohort(cohort_file), tmp_path / "out", 32, num_workers=1)

    assert not (tmp_path / "out").exists()


def test_a_task_without_a_label_to_train_on_is_told_before_decoding(cohort_file, tmp_path):
    text = cohort_file.read_text().replace('column = "hba1c"', 'column = "empty"')
    cohort_file.write_text(text)
    table = cohort_file.parent / "labels.csv"
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([header + ",empty", *(row + "," for row in rows)]))
    shutil.rmtree(cohort_file.parent / "images")
    (cohort_file.parent / "images").mkdir()

    with pytest.raises(CohortError, match="no train patient has a label for hba1c"):
        run(cohort_file, tmp_path / "out")


@pytest.mark.parametrize("other", ["another size", "another cohort"])
def test_a_published_dataset_is_not_overwritten_by_another(cohort_file, tmp_path, other):
    run(cohort_file, tmp_path / "out")
    if other == "another cohort":
        cohort_file.write_text(cohort_file.read_text().replace('name = "drawn"', 'name = "other"'))

    with pytest.raises(StorageError, match="already holds a prepared dataset, 'drawn' at 32 pixels"):
        prepare(read_cohort(cohort_file), tmp_path / "out", 48 if other == "another size" else 32)


def test_a_folder_with_other_things_is_not_replaced(cohort_file, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")

    with pytest.raises(StorageError, match="should be a new or an empty folder"):
        run(cohort_file, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()


@pytest.mark.parametrize("options", [{"num_workers": 0}, {"num_workers": -2}])
def test_no_workers_are_refused(cohort_file, tmp_path, options):
    with pytest.raises(ConfigError, match="num_workers should be 1 or more"):
        run(cohort_file, tmp_path / "out", **options)


def test_the_scaler_is_fitted_on_train_patients_alone(cohort_file, tmp_path):
    run(cohort_file, tmp_path / "out")
    dataset = PreparedDataset.open(tmp_path / "out")
    train = dataset.photographs("train")

    age = dataset.tasks.index("age")
    assert dataset.scaler.medians[age] == np.median(train.per_patient(train.labels_NT)[:, age])


def test_shards_are_written_as_they_fill(cohort_file, tmp_path, monkeypatch):
    monkeypatch.setattr("sepl.data.dataset.shards.SHARD_BYTES", 2 * 32 * 32 * 3)

    manifest = run(cohort_file, tmp_path / "out").manifest

    assert {shard.num_photographs for shard in manifest.shards} <= {1, 2}
    PreparedDataset.open(tmp_path / "out").verify()


def test_memory_does_not_grow_with_the_cohort(cohort_file, tmp_path):
    peaks = [_peak_megabytes(cohort_file, tmp_path / str(copies), copies) for copies in (5, 40)]

    grown = (40 - 5) * 24 * 224 * 224 * 3 / 2**20  # megabytes of pixels more: 120
    assert peaks[1] - peaks[0] < grown / 4


def _peak_megabytes(cohort_file, folder, copies):
    """Peak memory of a process that prepares the cohort with each photograph linked `copies` times."""
    (folder / "images").mkdir(parents=True)
    header, *rows = (cohort_file.parent / "labels.csv").read_text().splitlines()
    for picture in (cohort_file.parent / "images").iterdir():
        for copy in range(copies):
            (folder / "images" / f"{copy}{picture.name}").hardlink_to(picture)
    (folder / "labels.csv").write_text("\n".join([header, *(f"{copy}{row}" for row in rows for copy in range(copies))]))
    shutil.copy(cohort_file, folder)
    code = (
        "import resource, sys; import sepl.data.dataset.shards as shards; shards.SHARD_BYTES = 2**22; "
        "from pathlib import Path; from sepl.data.cohort.cohort import read_cohort; "
        "from sepl.data.preparation.prepare import prepare; "
        f"prepare(read_cohort(Path({str(folder)!r}) / 'cohort.toml'), {str(folder / 'out')!r}, 224, num_workers=2); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(run.stdout)


def test_the_summary_tells_what_a_person_asks(cohort_file, tmp_path):
    (cohort_file.parent / "images" / read_cohort(cohort_file).images[0]).unlink()
    summary = run(cohort_file, tmp_path / "out")

    text = describe_prepared(summary)

    assert "rejected: 1" in text
    assert "1 file not found" in text
    assert re.search(r"hba1c +\d+\.\d%  median \d\.\d+ %", text)
    assert re.search(r"diabetes +0\.0%  \d+\.\d% are 1", text)
    assert "photographs/s" in text
    assert summary.manifest.fingerprint in text


@pytest.mark.real_data
def test_real_photographs_are_all_read_and_nearly_all_kept(tmp_path):
    data = Path(os.environ["SEPL_REAL_DATA"])
    (tmp_path / "cohort.toml").write_text(
        f'name = "odir"\ntable = "{data}/odir_dev/labels.csv"\nimages = "{data}/odir_dev"\n'
        '[columns]\npatient = "patient_id"\neye = "eye"\n[tasks.age]\ncolumn = "age"\n[tasks.sex]\ncolumn = "sex"\n'
        '[tasks.myopia]\ncolumn = "myopia"\nkind = "binary"\nlabel = "Myopia"\n'
    )

    summary = prepare(read_cohort(tmp_path / "cohort.toml"), tmp_path / "out", 64)

    assert set(summary.rejected) <= {"not gradeable"}
    assert summary.manifest.num_rejected < 0.02 * 1800
    assert sum(summary.manifest.num_patients.values()) > 0.98 * 900
    train = PreparedDataset.open(tmp_path / "out").photographs("train")
    assert np.median(train.labels_NT[:, 0]) == pytest.approx(58, abs=3)


@pytest.mark.real_data
def test_full_size_photographs_are_cropped_to_their_field(tmp_path):
    data = Path(os.environ["SEPL_REAL_DATA"]) / "fundus_fullres"
    from sepl.data.imaging.decode import decode, read_header
    from sepl.data.imaging.field_of_view import find_field_of_view

    for path in sorted(data.glob("*.jpg")):
        source = path.read_bytes()
        box = find_field_of_view(decode(source, read_header(source), 8))

        assert box.longest == pytest.approx(3072 / 8, abs=8)


def test_ctrl_c_says_how_to_go_on_and_publishes_nothing(cohort_file, tmp_path):
    code = (
        "import signal, os, sys; import sepl.data.preparation.chunks as chunks; from jobs import prepare as job; "
        "from jobs._command import run_command\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job is born deaf to it
        "examine = chunks.examine_photograph\n"
        "def stop(*arguments, **options):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return examine(*arguments, **options)\n"
        "chunks.examine_photograph = stop\n"
        f"sys.argv = ['prepare', '--cohort', {str(cohort_file)!r}, '--out', {str(tmp_path / 'x' / 'out')!r}, "
        "'--image-size', '32']\n"
        "run_command(job.main)"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert result.returncode == 130
    assert result.stderr.strip().splitlines()[-2:] == [
        "what is done so far is kept; the same command goes on from there",
        "error: stopped by Ctrl-C",
    ]
    assert "Traceback" not in result.stderr
    assert [path.name for path in (tmp_path / "x").iterdir()] == [".out-preparing"]
