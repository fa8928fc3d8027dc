import hashlib
import os
import pickle
import re
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.patients.pseudonyms import Pseudonyms
from sepl.errors import ConfigError, StorageError

KEY = bytes(range(32))
texts = st.text(max_size=30)


@pytest.fixture(autouse=True)
def _no_key_from_outside(monkeypatch):
    monkeypatch.delenv("SEPL_PATIENT_KEY", raising=False)


@given(texts, texts)
def test_a_pseudonym_is_twenty_digits_and_tells_patients_and_kinds_apart(first, second):
    names = Pseudonyms(KEY)

    assert re.fullmatch("[0-9a-f]{20}", names.of(first))
    assert (names.of(first) == names.of(second)) == (first == second)
    assert names.of(first, "image") != names.of(first, "patient")
    assert names.of(first) not in hashlib.sha256(first.encode()).hexdigest()


def test_the_same_key_gives_the_same_pseudonyms_in_every_version():
    assert Pseudonyms(KEY).of("P-0007") == "731aa9c771a2b065cb6b"
    assert Pseudonyms(bytes(32)).of("P-0007") != Pseudonyms(KEY).of("P-0007")


def test_a_folder_name_that_is_no_unicode_has_a_pseudonym_too():
    assert len(Pseudonyms(KEY).of("1234_\udcff_M_50/a.dcm", "image")) == 20


def test_the_key_is_made_once_for_its_owner_alone(tmp_path):
    place = tmp_path / "patient.key"

    first = Pseudonyms.load(place)

    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert len(bytes.fromhex(place.read_text().strip())) == 32
    before = place.read_bytes()
    assert Pseudonyms.load(place) == first
    assert place.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["patient.key"]


def test_a_disk_without_links_keeps_a_key_too(tmp_path, monkeypatch):
    def refuse(self, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)

    first = Pseudonyms.load(tmp_path / "patient.key")

    assert stat.S_IMODE((tmp_path / "patient.key").stat().st_mode) == 0o600
    assert Pseudonyms.load(tmp_path / "patient.key") == first


def test_another_place_has_another_key(tmp_path):
    assert Pseudonyms.load(tmp_path / "a").of("1") != Pseudonyms.load(tmp_path / "b").of("1")


def test_processes_that_make_a_key_together_agree_on_it(tmp_path):
    loaded = []
    start = threading.Barrier(8)

    def load():
        start.wait()
        loaded.append(Pseudonyms.load(tmp_path / "patient.key"))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(loaded) == 8
    assert set(loaded) == {Pseudonyms.load(tmp_path / "patient.key")}


@pytest.mark.parametrize("content", ["", "\n", "secret", "ab" * 31, "ab" * 33, "zz" * 32, "ab" * 16 + " " + "ab" * 16])
def test_a_damaged_key_is_one_clear_error_and_stays_as_it_is(tmp_path, content):
    place = tmp_path / "patient.key"
    place.write_text(content)

    with pytest.raises(ConfigError, match=r"patient\.key should hold a patient key, 64 hexadecimal digits") as caught:
        Pseudonyms.load(place)

    assert place.read_text() == content
    assert "\n" not in str(caught.value)
    assert len(content) < 3 or content not in str(caught.value)


def test_a_key_of_random_bytes_is_damaged(tmp_path):
    (tmp_path / "patient.key").write_bytes(os.urandom(32))

    with pytest.raises(ConfigError, match="should hold a patient key"):
        Pseudonyms.load(tmp_path / "patient.key")


def test_the_variable_wins_over_the_file_and_makes_none(tmp_path, monkeypatch):
    by_file = Pseudonyms.load(tmp_path / "patient.key")
    monkeypatch.setenv("SEPL_PATIENT_KEY", KEY.hex())

    assert Pseudonyms.load(tmp_path / "patient.key") == Pseudonyms(KEY) != by_file
    assert Pseudonyms.load(tmp_path / "absent") == Pseudonyms(KEY)
    assert not (tmp_path / "absent").exists()


def test_a_wrong_variable_is_refused_without_showing_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SEPL_PATIENT_KEY", "hospital-secret")

    with pytest.raises(ConfigError, match=r"^\$SEPL_PATIENT_KEY should hold") as caught:
        Pseudonyms.load(tmp_path / "patient.key")
    assert "hospital-secret" not in str(caught.value)


def test_where_no_key_can_be_kept_the_error_says_what_to_do(tmp_path):
    with pytest.raises(StorageError, match=r"cannot make the patient key .*: No such file.* \$SEPL_PATIENT_KEY"):
        Pseudonyms.load(tmp_path / "absent" / "patient.key")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match=r"cannot read the patient key .*: Is a directory"):
        Pseudonyms.load(tmp_path / "folder")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StorageError, match="cannot read the patient key"):
        Pseudonyms.load(tmp_path / "link")


def test_the_key_is_never_shown_and_travels_to_other_processes():
    names = Pseudonyms(KEY)

    assert KEY.hex() not in repr(names)
    assert str(KEY) not in repr(names)
    assert pickle.loads(pickle.dumps(names)).of("1") == names.of("1")


@given(texts)
def test_ids_are_kept_only_when_asked(text):
    for names in (Pseudonyms.none(), Pseudonyms(KEY).keeping_ids()):
        assert names.of(text) == names.of(text, "image") == text
        assert re.fullmatch("[0-9a-f]{20}", names.of(text, "seal"))
    assert Pseudonyms(KEY).keeping_ids().of(text, "seal") == Pseudonyms(KEY).of(text, "seal")
