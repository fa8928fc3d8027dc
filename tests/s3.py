"""A real S3 endpoint on this machine for tests, and places in it."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from moto.server import ThreadedMotoServer
from pyarrow import fs as pafs

_buckets = itertools.count()


@contextmanager
def serve_s3() -> Iterator[str]:
    """Runs a server on a free port with credentials in the environment; its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield f"{host}:{port}"
    server.stop()


def new_place(endpoint: str) -> str:
    """The URI of a place in a new, empty bucket."""
    bucket = f"bucket-{next(_buckets)}"
    options = {"endpoint_override": endpoint, "scheme": "http", "region": "us-east-1"}
    pafs.S3FileSystem(allow_bucket_creation=True, **options).create_dir(bucket)
    return f"s3://{bucket}/place?{'&'.join(f'{key}={value}' for key, value in options.items())}"
