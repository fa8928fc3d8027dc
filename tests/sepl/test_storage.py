import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs as pafs
from s3 import new_place, serve_s3

from sepl import storage
from sepl.errors import StorageError
from sepl.storage import check_writable, local_copy, publish_folder, resolve, sha256_of, sha256_of_file


@pytest.fixture(scope="module")
def endpoint():
    with serve_s3() as address:
        yield address


@pytest.fixture
def s3(endpoint):
    return new_place(endpoint)


@pytest.fixture(params=["local", "s3"])
def place(request, tmp_path):
    """The same laws on a disk and on an object store."""
    return resolve(tmp_path / "place" if request.param == "local" else request.getfixturevalue("s3"))


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "a.bin").write_bytes(bytes(range(256)))
    (source / "deep" / "b.txt").write_text("b")
    (source / "manifest.json").write_text("{}")
    return source


def test_bytes_come_back(place):
    (place / "x").write_bytes(b"one")
    (place / "x").write_bytes(b"two")

    assert (place / "x").read_bytes() == b"two"


def test_what_is_not_there_is_told_by_its_uri(place):
    assert not (place / "none").exists()
    with pytest.raises(StorageError, match=r"cannot read .*place/none"):
        (place / "none").read_bytes()


def test_a_folder_is_listed_by_name_and_one_that_is_not_there_is_empty(place):
    for name in ("b", "a"):
        (place / "deep" / name).write_bytes(b"")

    assert [entry.name for entry in (place / "deep").list_folder()] == ["a", "b"]
    assert (place / "nowhere").list_folder() == []


def test_a_deleted_folder_is_gone_and_may_be_deleted_again(place):
    (place / "deep" / "a").write_bytes(b"1")

    (place / "deep").delete_folder()
    (place / "deep").delete_folder()

    assert not (place / "deep" / "a").exists()


def test_a_published_folder_is_whole(place, folder):
    publish_folder(folder, place, "manifest.json")

    assert (place / "a.bin").read_bytes() == bytes(range(256))
    assert (place / "deep" / "b.txt").read_bytes() == b"b"
    assert (place / "manifest.json").read_bytes() == b"{}"


def test_a_published_folder_is_not_overwritten(place, folder):
    publish_folder(folder, place, "manifest.json")
    (folder / "a.bin").unlink()
    (folder / "a.bin").write_bytes(b"other")

    with pytest.raises(StorageError, match=r"already holds a published manifest.json"):
        publish_folder(folder, place, "manifest.json")
    assert (place / "a.bin").read_bytes() == bytes(range(256))


def test_a_folder_with_something_else_in_it_is_left_alone(folder, tmp_path):
    mine = tmp_path / "thesis" / "chapter.txt"
    mine.parent.mkdir()
    mine.write_text("years of work")

    with pytest.raises(StorageError, match="new or an empty folder"):
        publish_folder(folder, resolve(mine.parent), "manifest.json")
    assert mine.read_text() == "years of work"


def test_the_manifest_is_written_last(s3, folder, monkeypatch):
    written = []
    copy = pafs.copy_files
    monkeypatch.setattr(
        storage.pafs, "copy_files", lambda source, target, *rest: (written.append(target), copy(source, target, *rest))
    )

    publish_folder(folder, resolve(s3), "manifest.json")

    assert written[-1].endswith("manifest.json")
    assert len(written) == 3


@pytest.mark.parametrize("num_copied", [0, 1, 2])
def test_an_interrupted_upload_is_absent_and_may_be_repeated(s3, folder, monkeypatch, num_copied):
    place, copied, copy = resolve(s3), [], pafs.copy_files

    def interrupted(*arguments):
        if len(copied) == num_copied:
            raise KeyboardInterrupt
        copied.append(arguments)
        copy(*arguments)

    monkeypatch.setattr(storage.pafs, "copy_files", interrupted)
    with pytest.raises(KeyboardInterrupt):
        publish_folder(folder, place, "manifest.json")
    monkeypatch.undo()

    assert not (place / "manifest.json").exists()
    publish_folder(folder, place, "manifest.json")
    assert (place / "deep" / "b.txt").read_bytes() == b"b"


def test_an_interrupted_local_publication_leaves_nothing(folder, tmp_path, monkeypatch):
    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(storage.shutil, "copytree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        publish_folder(folder, resolve(tmp_path / "out" / "place"), "manifest.json")

    assert list((tmp_path / "out").iterdir()) == []


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    place = resolve(tmp_path / "x")
    place.write_bytes(b"old")

    def interrupted(_handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(storage.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        place.write_bytes(b"new")

    assert place.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_others_may_read_what_is_published(folder, tmp_path):
    publish_folder(folder, resolve(tmp_path / "place"), "manifest.json")
    resolve(tmp_path / "file").write_bytes(b"")

    assert stat.S_IMODE((tmp_path / "place").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_a_local_copy_has_the_files(place, folder, tmp_path):
    publish_folder(folder, place, "manifest.json")

    copy = local_copy(place, tmp_path / "cache")

    assert (copy / "a.bin").read_bytes() == bytes(range(256))
    assert (copy / "deep" / "b.txt").read_text() == "b"


def test_a_relative_path_and_a_file_uri_name_the_same_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert resolve("x/y").path == resolve(f"file://{tmp_path}/x/y").path == str(tmp_path / "x" / "y")


def test_the_options_of_a_uri_follow_the_joined_name(s3):
    joined = resolve(s3) / "x"

    address, _, options = joined.uri.partition("?")
    assert address.endswith("/place/x")
    assert options == s3.partition("?")[2]


@pytest.mark.parametrize("uri", ["ftp://host/x", "s4://bucket"])
def test_an_unknown_scheme_is_refused(uri):
    with pytest.raises(StorageError, match="a URI should be a local path, s3://"):
        resolve(uri)


@given(st.binary())
def test_both_digests_agree(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("digest") / "x"
    path.write_bytes(data)

    assert sha256_of(data) == sha256_of_file(path)


def test_a_place_that_cannot_be_written_is_found_before_the_work(folder):
    check_writable(resolve(folder / "a.bin"))
    check_writable(resolve(folder / "new" / "deeper" / "file.json"))

    with pytest.raises(StorageError, match=r"deep should be a file to write, is a folder"):
        check_writable(resolve(folder / "deep"))
    with pytest.raises(StorageError, match=r"c.json cannot be written: .*a.bin is no folder that may be written to"):
        check_writable(resolve(folder / "a.bin" / "c.json"))
    assert not (folder / "new").exists()
