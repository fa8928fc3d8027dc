"""One run at a time on one output, on a disk and in an object store."""

import errno
import fcntl
import os
import socket
import subprocess
import sys
import threading

import pytest
from s3 import new_place, serve_s3

from sepl import locking as lock
from sepl.errors import StorageError
from sepl.locking import FileLock, Owner, hold, holder
from sepl.storage import resolve


@pytest.fixture(scope="module")
def endpoint():
    with serve_s3() as address:
        yield address


@pytest.fixture(autouse=True)
def _soon_settled(monkeypatch):
    monkeypatch.setattr(lock, "_SETTLE_SECONDS", 0.2)


@pytest.fixture(params=["on a disk", "in an object store"])
def target(request, tmp_path):
    if request.param == "on a disk":
        return resolve(tmp_path / "out")
    return resolve(new_place(request.getfixturevalue("endpoint")))


def test_the_second_is_told_who_holds_it(target):
    expected = f"another run is preparing .*process {os.getpid()} on {socket.gethostname()}, since .*wait until it has"

    with hold(target), pytest.raises(StorageError, match=expected), hold(target):
        pass


def test_it_is_free_afterwards_and_nothing_is_left(target, tmp_path):
    for _ in range(2):
        with hold(target) as held:
            held.check()

    assert not list(tmp_path.iterdir())
    assert not target.list_folder()


def test_it_is_free_after_an_error(target):
    with pytest.raises(ValueError, match="broken"), hold(target):
        raise ValueError("broken")

    with hold(target):
        pass


def test_a_lock_ends_with_its_process(target):
    """The holder is killed outright: it can tidy up nothing."""
    code = (
        "import sys, time; from sepl import locking as lock; from sepl.storage import resolve\n"
        "lock._SETTLE_SECONDS = 0.1\n"
        f"with lock.hold(resolve({target.uri!r})):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match=f"process {holder.pid}"), hold(target):
            pass
        holder.kill()

    with hold(target) as held:
        held.check()


def test_of_many_at_once_one_at_most_holds_an_object_store(endpoint):
    target = resolve(new_place(endpoint))
    holding, most, refused = [], [], []
    release = threading.Event()

    def contend(number):
        try:
            with hold(target):
                holding.append(number)
                most.append(len(holding))
                release.wait(10)
                holding.remove(number)
        except StorageError:
            refused.append(number)

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    while len(refused) + len(holding) < 6 and any(thread.is_alive() for thread in threads):
        release.wait(0.05)
    release.set()
    for thread in threads:
        thread.join()

    assert max(most, default=0) <= 1
    assert len(refused) >= 5


def owned_by(target, **changes):
    owner = Owner.this().model_copy(update=changes)
    (target / ".lock").write_bytes(owner.model_dump_json().encode())


def test_an_owner_elsewhere_who_is_silent_is_taken_for_dead(endpoint):
    target = resolve(new_place(endpoint))
    owned_by(target, host="elsewhere", renewed=Owner.this().renewed - lock.STALE_SECONDS - 1)

    with hold(target):
        owner = Owner.model_validate_json((target / ".lock").read_bytes())

    assert owner.host == Owner.this().host


def test_an_owner_elsewhere_who_was_heard_of_is_waited_for(endpoint):
    target = resolve(new_place(endpoint))
    owned_by(target, host="elsewhere")

    with pytest.raises(StorageError, match="on elsewhere"), hold(target):
        pass


def test_who_lost_the_lock_makes_nothing_final(endpoint):
    target = resolve(new_place(endpoint))

    with hold(target) as held:
        owned_by(target, host="elsewhere")
        with pytest.raises(StorageError, match="on elsewhere"):
            held.check()
    assert target.list_folder()  # the other's lock stays


def test_an_owner_renews_its_lock(endpoint, monkeypatch):
    monkeypatch.setattr(lock, "_RENEW_SECONDS", 0.05)
    target = resolve(new_place(endpoint))

    with hold(target):
        first = (target / ".lock").read_bytes()
        threading.Event().wait(0.5)
        assert (target / ".lock").read_bytes() != first


def test_a_file_system_without_locks_is_told_in_one_line(tmp_path, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(fcntl, "flock", refuse)  # as the kernel answers there; no such file system can be made here

    with pytest.raises(StorageError, match=r"cannot lock .*file locks \(flock\): Operation not supported") as refusal:
        FileLock.take(tmp_path / "a", wait=False)
    assert "\n" not in str(refusal.value)


def test_it_says_what_the_other_is_doing(target):
    with hold(target), pytest.raises(StorageError, match="another run is searching"), hold(target, "searching"):
        pass


def test_a_file_lock_that_was_let_go_can_be_taken(tmp_path):
    first = FileLock.take(tmp_path / "a", wait=False)
    assert first is not None
    assert FileLock.take(tmp_path / "a", wait=False) is None
    first.release()

    second = FileLock.take(tmp_path / "a", wait=False)

    assert second is not None
    second.release()
    assert not (tmp_path / "a").exists()


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(fcntl, "flock", refuse)

    with pytest.raises(StorageError, match=r"cannot lock .* with file locks \(flock\).*not supported"):
        FileLock.take(tmp_path / "lock", wait=True)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="cannot lock"):
        FileLock.take(tmp_path / "file" / "deeper" / "lock", wait=True)


def test_the_holder_is_told_without_being_in_the_way(target):
    before = holder(target)
    with hold(target):
        during = holder(target)
    after = holder(target)

    assert (before, after) == (None, None)
    assert f"process {os.getpid()} on " in str(during)


def test_a_lock_that_a_killed_process_left_holds_nothing(tmp_path):
    (tmp_path / ".study.lock").write_text("{}")

    assert holder(resolve(tmp_path / "study")) is None
    assert (tmp_path / ".study.lock").exists()
