import pickle

import pytest

from sepl import errors
from sepl.errors import SeplError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_crosses_processes(kind):
    sent = kind("size should be 16 or more, was 3")

    received = pickle.loads(pickle.dumps(sent))

    assert type(received) is kind
    assert str(received) == str(sent)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not SeplError])
def test_an_error_is_sepls_and_a_builtin_kind(kind):
    builtin = [
        base
        for base in kind.__mro__
        if base.__module__ == "builtins" and base not in (Exception, BaseException, object)
    ]

    assert issubclass(kind, SeplError)
    assert builtin


def test_there_are_the_kinds_that_rooms_raise():
    assert {kind.__name__ for kind in KINDS} >= {
        "CohortError",
        "ImageError",
        "DatasetError",
        "BundleError",
        "DivergedError",
    }
