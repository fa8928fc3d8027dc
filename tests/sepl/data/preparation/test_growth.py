"""A dataset prepared again over a cohort that has changed: only what is new is decoded, all is as if begun afresh."""

import shutil

import numpy as np
import pytest
from builders import build_cohort

from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset import shards
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.data.preparation import chunks
from sepl.data.preparation.output import Output
from sepl.data.preparation.prepare import prepare


@pytest.fixture
def cohort_file(tmp_path):
    return build_cohort(tmp_path / "cohort", num_patients=20)


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(shards, "SHARD_BYTES", 6 * 32 * 32 * 3)


@pytest.fixture
def decoded(monkeypatch):
    """How many photographs were decoded so far."""
    calls = []
    examine = chunks.examine_photograph

    def counted(*arguments, **options):
        calls.append(1)
        return examine(*arguments, **options)

    monkeypatch.setattr(chunks, "examine_photograph", counted)
    return calls


def run(cohort_file, out, **options):
    return prepare(read_cohort(cohort_file), out, 32, num_workers=1, **options)


def change_rows(cohort_file, change):
    """Rewrites the table's rows."""
    table = cohort_file.parent / "labels.csv"
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([header, *change(rows)]) + "\n")


def written_in(folder, pattern="*"):
    """When each file was written last, and which file it is."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob(pattern)}


def published(folder):
    """What the manifest of a dataset names, with the rows of what is remembered of its sources."""
    manifest = PreparedDataset.open(folder).manifest
    names = ["manifest.json", "sealed.json", *manifest.tables, *(shard.file for shard in manifest.shards)]
    files = {name: (folder / name).read_bytes() for name in [*names, *(p.name for p in folder.glob("sources-*"))]}
    thumbnails = {path.name: path.read_bytes() for path in (folder / "thumbnails").glob("*")}
    return {name: content for name, content in files.items() if not name.startswith("sources-")} | thumbnails


def test_over_an_unchanged_cohort_nothing_is_decoded_or_written(cohort_file, tmp_path, decoded):
    run(cohort_file, tmp_path / "out")
    before = written_in(tmp_path / "out")
    decoded.clear()

    summary = run(cohort_file, tmp_path / "out")

    assert summary.unchanged
    assert summary.num_decoded == len(decoded) == 0
    assert written_in(tmp_path / "out") == before
    assert {path.name for path in tmp_path.iterdir()} == {"cohort", "out"}


@pytest.mark.parametrize("where", ["at the end", "in the middle", "at the start"])
def test_of_a_grown_cohort_only_the_new_photographs_are_decoded(cohort_file, tmp_path, decoded, where):
    whole = (cohort_file.parent / "labels.csv").read_text()
    new = {"at the end": slice(32, 40), "in the middle": slice(11, 19), "at the start": slice(0, 8)}[where]
    change_rows(cohort_file, lambda rows: [row for row in rows if row not in rows[new]])
    run(cohort_file, tmp_path / "out")
    (cohort_file.parent / "labels.csv").write_text(whole)
    decoded.clear()

    summary = run(cohort_file, tmp_path / "out")

    assert summary.num_decoded == len(decoded) == 8
    run(cohort_file, tmp_path / "afresh")
    assert published(tmp_path / "out") == published(tmp_path / "afresh")


def test_rows_that_are_gone_leave_and_nothing_is_decoded(cohort_file, tmp_path, decoded):
    run(cohort_file, tmp_path / "out")
    change_rows(cohort_file, lambda rows: rows[4:30])
    decoded.clear()

    run(cohort_file, tmp_path / "out")

    assert not decoded
    run(cohort_file, tmp_path / "afresh")
    grown, afresh = (PreparedDataset.open(tmp_path / name) for name in ("out", "afresh"))
    assert grown.manifest == afresh.manifest


def test_another_seed_decodes_nothing_and_unseals_nobody(cohort_file, tmp_path, decoded):
    run(cohort_file, tmp_path / "out")
    tested = set(PreparedDataset.open(tmp_path / "out").photographs("test").patients)
    decoded.clear()

    run(cohort_file, tmp_path / "out", seed=5)

    again = PreparedDataset.open(tmp_path / "out")
    assert not decoded
    assert again.manifest.seed == 5
    assert tested <= set(again.photographs("test").patients)


def test_a_photograph_that_was_replaced_is_decoded_again(cohort_file, tmp_path, decoded):
    run(cohort_file, tmp_path / "out")
    images = read_cohort(cohort_file).images
    folder = cohort_file.parent / "images"
    (folder / images[5]).write_bytes((folder / images[20]).read_bytes())
    decoded.clear()

    run(cohort_file, tmp_path / "out")

    assert len(decoded) == 1
    run(cohort_file, tmp_path / "afresh")
    assert published(tmp_path / "out") == published(tmp_path / "afresh")


def test_a_photograph_that_was_missing_is_taken_when_it_comes(cohort_file, tmp_path, decoded):
    image = cohort_file.parent / "images" / read_cohort(cohort_file).images[3]
    image.rename(tmp_path / "later.png")
    assert run(cohort_file, tmp_path / "out").rejected == {"file not found": 1}
    (tmp_path / "later.png").rename(image)
    decoded.clear()

    summary = run(cohort_file, tmp_path / "out")

    assert summary.num_decoded == len(decoded) == 1
    assert summary.rejected == {}


def limit_quality(cohort_file, limits):
    text = cohort_file.read_text()
    cohort_file.write_text(text.replace("colour = {}", f"colour = {limits}"))


def test_a_stricter_limit_decodes_nothing_but_what_is_shown(cohort_file, tmp_path, decoded):
    run(cohort_file, tmp_path / "out")
    limit_quality(cohort_file, "{low = 0.3}")
    decoded.clear()

    summary = run(cohort_file, tmp_path / "out")

    assert summary.rejected["not gradeable"] > 0
    assert not decoded
    run(cohort_file, tmp_path / "afresh")
    after, afresh = published(tmp_path / "out"), published(tmp_path / "afresh")
    assert len(after.pop("sealed.json")) > len(afresh.pop("sealed.json"))  # whoever was tested stays sealed
    assert after == afresh


def test_a_laxer_limit_decodes_what_had_been_refused(cohort_file, tmp_path, decoded):
    lax = cohort_file.read_text()
    limit_quality(cohort_file, "{low = 0.3}")
    num_refused = run(cohort_file, tmp_path / "out").rejected["not gradeable"]
    cohort_file.write_text(lax)
    decoded.clear()

    run(cohort_file, tmp_path / "out")

    assert len(decoded) == num_refused
    run(cohort_file, tmp_path / "afresh")
    assert published(tmp_path / "out") == published(tmp_path / "afresh")


def test_a_changed_label_moves_no_pixel(cohort_file, tmp_path, decoded):
    run(cohort_file, tmp_path / "out")
    shards_before = written_in(tmp_path / "out", "*.arrow")
    change_rows(cohort_file, lambda rows: [rows[0].replace(",M,", ",F,"), *rows[1:]])
    decoded.clear()

    run(cohort_file, tmp_path / "out")

    assert not decoded
    assert written_in(tmp_path / "out", "*.arrow") == shards_before


def test_who_opened_the_dataset_before_reads_on(cohort_file, tmp_path):
    whole = (cohort_file.parent / "labels.csv").read_text()
    change_rows(cohort_file, lambda rows: rows[:30])
    run(cohort_file, tmp_path / "out")
    opened = PreparedDataset.open(tmp_path / "out")
    expected = PreparedDataset.open(shutil.copytree(tmp_path / "out", tmp_path / "copy")).photographs(*COHORT_SPLITS)
    (cohort_file.parent / "labels.csv").write_text(whole)
    run(cohort_file, tmp_path / "out")

    found = opened.photographs(*COHORT_SPLITS)

    opened.verify()
    assert found.images.tolist() == expected.images.tolist()
    assert all(np.array_equal(a, b) for a, b in zip(found.shards, expected.shards, strict=True))


def test_files_of_the_dataset_before_the_last_are_removed(cohort_file, tmp_path):
    for num_rows in (10, 20, 30, 40):
        whole = (cohort_file.parent / "labels.csv").read_text()
        change_rows(cohort_file, lambda rows, num_rows=num_rows: rows[:num_rows])
        run(cohort_file, tmp_path / "out")
        (cohort_file.parent / "labels.csv").write_text(whole)

    files = [path.name.partition("-")[0] for path in (tmp_path / "out").iterdir() if path.suffix != ".arrow"]
    assert sorted(name for name in files if name in ("labels", "sources")) == ["labels", "sources", "sources"]
    assert "labels.parquet" in files


@pytest.mark.parametrize("step", ["_keep_tables_of", "_put", "_remove_outdated"])
def test_a_run_that_ends_while_it_publishes_leaves_a_whole_dataset(cohort_file, tmp_path, monkeypatch, step):
    """Stopped before every file that it writes or removes, one after the other."""
    whole = (cohort_file.parent / "labels.csv").read_text()
    change_rows(cohort_file, lambda rows: rows[:30])
    run(cohort_file, tmp_path / "out")
    before = PreparedDataset.open(tmp_path / "out").fingerprint
    (cohort_file.parent / "labels.csv").write_text(whole)
    run(cohort_file, tmp_path / "afresh")
    after = PreparedDataset.open(tmp_path / "afresh").fingerprint

    for calls in range(1, 40):
        if stopped_before(step, calls, monkeypatch, lambda: run(cohort_file, tmp_path / "out")):
            standing = PreparedDataset.open(tmp_path / "out")
            standing.verify()
            assert standing.fingerprint in (before, after)
            continue
        break
    run(cohort_file, tmp_path / "out")

    assert published(tmp_path / "out") == published(tmp_path / "afresh")
    assert not list(tmp_path.glob(".out*"))


def stopped_before(step, calls, monkeypatch, work):
    """Whether the work was stopped before the given call of a step of `Output`."""
    done, method = [], getattr(Output, step)

    def stop(self, *arguments):
        done.append(1)
        if len(done) == calls:
            raise KeyboardInterrupt
        return method(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Output, step, stop)
        try:
            work()
        except KeyboardInterrupt:
            return True
    return False


def test_the_refused_that_are_shown_are_those_of_a_fresh_run(tmp_path):
    cohort_file = build_cohort(tmp_path / "larger", num_patients=60)
    limit_quality(cohort_file, "{low = 0.3}")
    assert run(cohort_file, tmp_path / "out").rejected["not gradeable"] > 12
    change_rows(cohort_file, lambda rows: rows[30:])

    run(cohort_file, tmp_path / "out")

    run(cohort_file, tmp_path / "afresh")
    after, afresh = published(tmp_path / "out"), published(tmp_path / "afresh")
    assert len([name for name in after if name.startswith("row-")]) >= 12
    del after["sealed.json"], afresh["sealed.json"]
    assert after == afresh


def add_visits(cohort_file, dates):
    """A column of visits, the dates in turn."""
    table = cohort_file.parent / "labels.csv"
    header, *rows = table.read_text().splitlines()
    lines = [f"{header},visit", *(f"{row},{dates[index % len(dates)]}" for index, row in enumerate(rows))]
    table.write_text("\n".join(lines) + "\n")
    cohort_file.write_text(cohort_file.read_text().replace("[columns]\n", '[columns]\nvisit = "visit"\n'))


def test_a_dataset_of_format_1_is_brought_to_format_2_without_decoding(cohort_file, tmp_path, decoded):
    first = run(cohort_file, tmp_path / "out")
    text = (tmp_path / "out" / "manifest.json").read_text()
    (tmp_path / "out" / "manifest.json").write_text(text.replace('"format": 2', '"format": 1', 1))
    add_visits(cohort_file, ["2020-01-01", "2020-03-01"])
    num_before = len(decoded)

    second = run(cohort_file, tmp_path / "out")

    assert (second.manifest.format, len(decoded)) == (2, num_before)
    assert second.manifest.shards == first.manifest.shards
    assert np.isfinite(PreparedDataset.open(tmp_path / "out").photographs("train").days).all()


def test_days_of_visits_are_published_and_no_date_is(cohort_file, tmp_path):
    add_visits(cohort_file, ["2020-01-01", "2020-03-01"])

    dataset = PreparedDataset.open(run(cohort_file, tmp_path / "out") and tmp_path / "out")

    photographs = dataset.photographs(*COHORT_SPLITS)
    assert {*photographs.days.tolist()} <= {0.0, 60.0}
    assert 60.0 in photographs.days
    for path in (tmp_path / "out").rglob("*"):
        assert path.is_dir() or b"2020-0" not in path.read_bytes()


def test_the_fingerprint_knows_days_between_visits_and_not_when_they_were(cohort_file, tmp_path):
    plain = run(cohort_file, tmp_path / "plain").manifest.fingerprint
    prints = []
    for number, dates in enumerate(
        [("2020-01-01", "2020-03-01"), ("2010-01-01", "2010-03-02"), ("2020-01-01", "2021-03-01")]
    ):
        folder = build_cohort(tmp_path / f"c{number}", num_patients=20)
        add_visits(folder, dates)
        prints.append(run(folder, tmp_path / f"out{number}").manifest.fingerprint)

    assert prints[0] == prints[1]
    assert len({plain, *prints}) == 3
