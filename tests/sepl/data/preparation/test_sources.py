from pathlib import Path

import pytest
from builders import build_cohort

from sepl.data.cohort.cohort import Cohort, read_cohort
from sepl.data.patients.pseudonyms import Pseudonyms
from sepl.data.preparation.sources import find_sources, pictures_of, place_of
from sepl.storage import resolve

KEY = Pseudonyms(bytes(range(32)))


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return read_cohort(build_cohort(tmp_path / "cohort", 6))


def test_a_source_changes_with_the_file_and_with_nothing_else(cohort: Cohort) -> None:
    pictures = pictures_of(cohort)
    before = find_sources(cohort, pictures, KEY)
    first = cohort.images_folder.local_path() / cohort.images[0]
    first.write_bytes(first.read_bytes() + b"\0")

    after = find_sources(cohort, pictures, KEY)

    changed = [image for image, old, new in zip(cohort.images, before, after, strict=True) if old != new]
    assert set(changed) == {cohort.images[0]}


def test_a_file_that_is_not_there_has_a_source_too_and_another_once_it_comes(cohort: Cohort) -> None:
    pictures = pictures_of(cohort)
    first = cohort.images_folder.local_path() / cohort.images[0]
    content = first.read_bytes()
    first.unlink()
    absent = find_sources(cohort, pictures, KEY)

    first.write_bytes(content)

    assert find_sources(cohort, pictures, KEY)[0] != absent[0]


def test_another_key_gives_other_sources(cohort: Cohort) -> None:
    pictures = pictures_of(cohort)

    assert not set(find_sources(cohort, pictures, KEY)) & set(find_sources(cohort, pictures, Pseudonyms(bytes(32))))


def test_an_absolute_path_leads_where_it_says_and_another_below_the_folder(tmp_path: Path) -> None:
    folder = resolve(tmp_path)

    assert place_of(folder, "a/b.jpg").local_path() == tmp_path / "a" / "b.jpg"
    assert place_of(folder, "/elsewhere/b.jpg").local_path() == Path("/elsewhere/b.jpg")
