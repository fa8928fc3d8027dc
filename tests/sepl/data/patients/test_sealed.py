import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.patients.pseudonyms import Pseudonyms
from sepl.data.patients.sealed import SealedPatients
from sepl.data.patients.splits import SplitOptions, assign_cohort_splits
from sepl.errors import ConfigError, DatasetError
from sepl.storage import resolve

NAMES = Pseudonyms(bytes(range(32)))
some_patients = st.sets(st.text(max_size=12), max_size=20)


@given(some_patients, some_patients, some_patients)
def test_a_sealed_patient_is_known_again_and_nobody_else(tmp_path_factory, first, second, asked):
    place = resolve(tmp_path_factory.mktemp("seal") / "deep" / "sealed.json")

    SealedPatients.read(place, NAMES).with_patients(first).write(place)
    SealedPatients.read(place, NAMES).with_patients(second).write(place)

    assert SealedPatients.read(place, NAMES).among(asked) == asked & (first | second)


def test_the_file_shows_hashes_only_and_the_same_bytes_whatever_the_order(tmp_path):
    one, two = resolve(tmp_path / "one.json"), resolve(tmp_path / "two.json")

    SealedPatients(NAMES).with_patients(["MILLER-1950", "4711"]).write(one)
    SealedPatients(NAMES).with_patients(["4711"]).with_patients(["MILLER-1950", "4711"]).write(two)

    assert one.read_bytes() == two.read_bytes()
    text = one.read_bytes().decode()
    assert "MILLER" not in text
    assert "4711" not in json.loads(text)["sealed"]
    assert NAMES.of("4711") not in text  # nor the pseudonym that the label table shows
    assert NAMES.key.hex() not in text


def test_a_changed_key_is_an_error_not_an_unsealing(tmp_path):
    place = resolve(tmp_path / "sealed.json")
    SealedPatients(NAMES).with_patients(["1"]).write(place)

    for other in (Pseudonyms(bytes(32)), Pseudonyms.none()):
        with pytest.raises(ConfigError, match="sealed with another patient key"):
            SealedPatients.read(place, other)
    assert SealedPatients.read(place, NAMES.keeping_ids()).among(["1", "2"]) == {"1"}


def test_a_file_of_another_key_with_nobody_in_it_is_an_error_too(tmp_path):
    place = resolve(tmp_path / "sealed.json")
    SealedPatients(NAMES).write(place)

    with pytest.raises(ConfigError, match="another patient key"):
        SealedPatients.read(place, Pseudonyms(bytes(32)))


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": 1}', "truncated", "another format", "an id"])
def test_a_damaged_file_is_one_clear_error(tmp_path, damage):
    place = resolve(tmp_path / "sealed.json")
    SealedPatients(NAMES).with_patients(["1", "2"]).write(place)
    whole = place.read_bytes()
    spoilt = {
        "truncated": whole[:-30],
        "another format": whole.replace(b'"format": 1', b'"format": 2'),
        "an id": whole.replace(NAMES.of("1", "seal").encode(), b"1"),
    }
    place.write_bytes(spoilt[damage] if damage in spoilt else damage.encode())

    with pytest.raises(DatasetError, match=r"sealed\.json") as caught:
        SealedPatients.read(place, NAMES)
    assert "\n" not in str(caught.value)


def test_years_of_growth_and_another_stratification_unseal_nobody(tmp_path):
    place = resolve(tmp_path / "sealed.json")
    options = [SplitOptions(), SplitOptions(stratify_by=("site",)), SplitOptions(external_test_sites=("b",))]
    ever: set[str] = set()

    for year in range(6):
        patients = [f"{number}" for number in range(100 * year // 2, 100 * (year + 1))]
        sites = ["ab"[int(patient) % 7 == 0] for patient in patients]
        sealed = SealedPatients.read(place, NAMES)
        splits = assign_cohort_splits(
            patients, seed=year, options=options[year % 3], sites=sites, sealed=sealed.among(patients)
        )
        tested = {patient for patient, split in zip(patients, splits, strict=True) if split == "test"}
        assert ever & set(patients) <= tested
        ever |= tested
        sealed.with_patients(tested).write(place)
