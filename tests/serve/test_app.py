"""A real server on this machine: what is answered online equals what is scored offline."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from socket import socket

import httpx
import numpy as np
import pytest
import ray
from builders import build_dataset
from bundles import build_bundle, bundle_content, draw_fundus, planted_conditioning
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from ray import cloudpickle
from ray import serve as ray_serve
from ray.serve.config import HTTPOptions
from ray.serve.handle import DeploymentHandle
from torch import nn

from sepl.bundle.format import read_bundle, write_bundle
from sepl.errors import BundleError
from sepl.scoring.evaluation import evaluate_bundle, per_patient
from sepl.scoring.known import Given, score_known
from sepl.scoring.rows import Score
from sepl.scoring.scorer import Scorer
from serve.api import build_api
from serve.app import build_app
from serve.auth import TOKEN_VARIABLE
from serve.batches import BatchedScorer
from serve.schemas import ServeSettings

TOKEN = "s3cret"
PHOTOGRAPHS = [(f"{seed}.jpg", draw_fundus(seed)) for seed in range(24)]
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # replicas cannot import a test module


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    build_bundle(folder)
    return folder


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[str]:
    """The address of a server that asks for a token and takes little."""
    with pytest.MonkeyPatch.context() as environment, closing(socket()) as probe:
        environment.setenv("RAY_AUTH_MODE", "disabled")
        environment.setenv(TOKEN_VARIABLE, TOKEN)
        environment.setenv("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "50")  # of 5 s; a busy machine needs more
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        ray.init(
            address="local",
            num_cpus=4,
            include_dashboard=False,
            log_to_driver=False,
            _system_config={"metrics_report_interval_ms": 200},
        )
        try:
            ray_serve.start(http_options=HTTPOptions(host="127.0.0.1", port=port))
            settings = ServeSettings(bundle=str(bundle), max_file_mb=0.5, max_request_mb=1, device="cpu")
            ray_serve.run(build_app(settings), name="sepl", route_prefix="/")
            yield f"http://127.0.0.1:{port}"
        finally:
            ray_serve.shutdown()
            ray.shutdown()


@pytest.fixture(scope="module")
def second(server: str, bundle: Path) -> DeploymentHandle:
    deployment = ray_serve.deployment(max_ongoing_requests=50, ray_actor_options={"num_cpus": 0})
    application = deployment(ray_serve.ingress()(SecondServer)).bind(str(bundle))
    return ray_serve.run(application, name="second", route_prefix="/second")


@pytest.fixture
def client(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def offline(bundle: Path) -> dict[str, Score]:
    scores = Scorer(read_bundle(bundle), device="cpu").score_bytes(PHOTOGRAPHS)
    return {score.image: score for score in scores}


def test_an_online_row_equals_the_offline_score(client: httpx.Client, offline: dict[str, Score]) -> None:
    reply = client.post("/v1/score", files=_files(PHOTOGRAPHS))

    assert reply.status_code == 200
    rows = reply.json()["scores"]
    assert [row["image"] for row in rows] == [name for name, _ in PHOTOGRAPHS]
    for row in rows:
        assert_same_row(row, offline[row["image"]])


def test_an_online_row_of_a_patient_equals_the_offline_score(client: httpx.Client, bundle: Path) -> None:
    patients = ["", "a", "b", "a", "b", "", "a", "c"] * 3
    expected = Scorer(read_bundle(bundle), device="cpu").score_bytes(PHOTOGRAPHS, patients)

    reply = client.post("/v1/score", files=_files(PHOTOGRAPHS), data={"patients": patients})

    assert reply.status_code == 200
    for row, score in zip(reply.json()["scores"], expected, strict=True):
        assert (row["patient"] or "", row["num_photographs"]) == (score.patient, score.num_photographs)
        assert_same_row(row, score)


def test_known_values_mean_online_what_they_mean_offline_and_in_evaluation(
    server: str, client: httpx.Client, tmp_path: Path
) -> None:
    """Patients of two photographs: by request, by the scorer, and by what evaluation makes of the prepared pixels."""
    dataset = build_dataset(tmp_path, num_patients=30)
    tasks, test = dataset.tasks, dataset.photographs("test")
    content = bundle_content(conditioning=planted_conditioning(tasks), tasks=tasks, scaler=dataset.scaler)
    image = dataset.image_spec.for_network(content["image"].normalisation)
    write_bundle(tmp_path / "known", **{**content, "image": image, "quality": dataset.manifest.quality})
    scorer = Scorer(read_bundle(tmp_path / "known"), device="cpu")
    settings = ServeSettings(bundle=str(tmp_path / "known"), device="cpu")
    ray_serve.run(build_app(settings), name="known", route_prefix="/known")
    outputs_PT, labels_PT = per_patient(scorer, dataset, "test")
    told = [{"sex": float(row[0]), "age": float(row[1])} for row in labels_PT]
    rows = [told[patient] for patient in test.patient_index]
    files = [(name, (tmp_path / "cohort" / "images" / name).read_bytes()) for name in test.images.tolist()]

    offline = scorer.score_bytes(files, test.patients.tolist(), rows)
    fields = {"patients": test.patients.tolist(), "known": [json.dumps(row) for row in rows]}
    reply = client.post("/known/v1/score", files=_files(files), data=fields)

    evaluated = score_known(outputs_PT, [Given(row) for row in told], scorer.bundle.manifest)
    found = evaluated.found
    ends = {"value": found.values_NT, "low": found.low_NT, "high": found.high_NT}
    for online, score, patient in zip(reply.json()["scores"], offline, test.patient_index, strict=True):
        assert online["known"] == list(score.known) == list(evaluated.known[patient]) == ["sex", "age"]
        assert_same_row(online, score)
        for end, values_NT in ends.items():
            given = [online["values"][name][end] for name in tasks.names]
            np.testing.assert_allclose(np.array(given, float), values_NT[patient], rtol=1e-5, atol=1e-5)
    sbp_N = np.array([online["values"]["sbp"]["value"] for online in reply.json()["scores"]])
    off_N = np.array([sbp_N - test.labels_NT[:, 2], dataset.scaler.medians[2] - test.labels_NT[:, 2]])
    error, error_of_median = np.abs(off_N).mean(axis=1)  # every patient has two photographs and a label
    skill = evaluate_bundle(scorer, dataset, "test", num_bootstrap=10).known[0]["sbp"].skill.known.value
    assert skill == pytest.approx(1 - error / error_of_median, abs=1e-5)


def test_concurrent_requests_are_each_answered_with_their_own_photographs(
    client: httpx.Client, offline: dict[str, Score]
) -> None:
    def score(number: int) -> list[dict]:
        chosen = [PHOTOGRAPHS[number], PHOTOGRAPHS[-1 - number]]
        return client.post("/v1/score", files=_files(chosen)).json()["scores"]

    with ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(score, range(12)))

    for number, rows in enumerate(replies):
        assert [row["image"] for row in rows] == [PHOTOGRAPHS[number][0], PHOTOGRAPHS[-1 - number][0]]
        for row in rows:
            assert_same_row(row, offline[row["image"]])


def test_a_file_that_cannot_be_read_costs_its_row_only(client: httpx.Client, offline: dict[str, Score]) -> None:
    name, data = PHOTOGRAPHS[0]

    reply = client.post("/v1/score", files=_files([("broken.jpg", data[:300]), (name, data), ("empty.png", b"")]))

    broken, good, empty = reply.json()["scores"]
    assert (broken["status"], empty["status"]) == ("failed", "failed")
    assert "truncated" in broken["reason"]
    assert_same_row(good, offline[name])


def test_prometheus_can_read_how_many_photographs_were_answered(client: httpx.Client) -> None:
    broken = [(f"{number}.jpg", b"no photograph") for number in range(50)]  # more than all other tests send

    client.post("/v1/score", files=_files(broken))

    deadline = time.monotonic() + 60  # a replica reports now and then
    while _answered("failed") < len(broken) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _answered("failed") >= len(broken)


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ([("x.jpg", b"x")] * 65, 413),
        ([("large.jpg", b"x" * 500_001)], 413),
        ([("one.jpg", b"x" * 400_000)] * 3, 413),
        ([], 422),
    ],
    ids=["too many", "a large file", "a large request", "no file"],
)
def test_what_cannot_be_served_is_refused(client: httpx.Client, files: list[tuple[str, bytes]], status: int) -> None:
    reply = client.post("/v1/score", files=_files(files))

    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")


def test_a_stream_of_unknown_length_is_refused_once_it_is_too_large(client: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'--B\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
        for _ in range(15):
            yield b"x" * 100_000
        yield b"\r\n--B--\r\n"

    reply = client.post("/v1/score", content=chunks(), headers={"Content-Type": "multipart/form-data; boundary=B"})

    assert (reply.status_code, reply.json()["status"]) == (413, 413)


def test_the_token_is_asked_for_everywhere_but_at_the_health_check(server: str, client: httpx.Client) -> None:
    assert httpx.get(f"{server}/healthz").json()["status"] == "ok"
    assert httpx.get(f"{server}/v1/model").status_code == 401
    assert httpx.post(f"{server}/v1/score", files=_files(PHOTOGRAPHS[:1])).status_code == 401
    assert client.get("/v1/model").status_code == 200


def test_the_openapi_document_tells_the_paths(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()

    assert document["paths"].keys() == {"/v1/score", "/v1/model", "/healthz"}


def test_photographs_of_concurrent_requests_share_passes_through_the_network(second: DeploymentHandle) -> None:
    replies = [second.count.remote([photograph]) for photograph in PHOTOGRAPHS]
    images = [reply.result(timeout_s=60)[0].image for reply in replies]

    sizes = second.sizes.remote().result(timeout_s=60)
    assert images == [name for name, _ in PHOTOGRAPHS]
    assert sum(sizes) == len(PHOTOGRAPHS)
    assert max(sizes) <= 8
    assert len(sizes) < len(PHOTOGRAPHS)


def test_patients_of_concurrent_requests_share_passes_and_are_never_joined(
    second: DeploymentHandle, bundle: Path
) -> None:
    second.sizes.remote().result(timeout_s=60)
    chosen = [(PHOTOGRAPHS[number : number + 2], ["a", "a"]) for number in range(20)]
    chosen += [(PHOTOGRAPHS, ["a"] * 19 + ["", "b", "b", "b", "b"])]  # more than a pass takes
    replies = [second.count.remote(photographs, patients) for photographs, patients in chosen]
    found = [reply.result(timeout_s=60) for reply in replies]

    sizes = second.sizes.remote().result(timeout_s=60)
    scorer = Scorer(read_bundle(bundle), device="cpu")
    for (photographs, patients), rows in zip(chosen, found, strict=True):
        for row, expected in zip(rows, scorer.score_bytes(photographs, patients), strict=True):
            assert (row.image, row.num_photographs) == (expected.image, expected.num_photographs)
            assert row.values["age"].value == pytest.approx(expected.values["age"].value, rel=1e-5)
    assert sum(sizes) == 40 + len(PHOTOGRAPHS)
    assert max(sizes) <= 8
    assert len(sizes) < 20


@pytest.mark.usefixtures("second")
def test_below_a_prefix_errors_are_problems_and_the_token_is_asked_for(server: str, client: httpx.Client) -> None:
    crash = client.post("/second/v1/score", files=_files(PHOTOGRAPHS[:1]))

    assert (crash.status_code, crash.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in crash.text
    assert httpx.get(f"{server}/second/healthz").status_code == 200
    assert httpx.get(f"{server}/second/v1/model").status_code == 401
    assert client.get("/second/v1/model").status_code == 200


def test_a_wrong_bundle_fails_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"bundle\.json: a bundle should have this file"):
        build_app(ServeSettings(bundle=str(tmp_path)))


class SecondServer:
    """Over HTTP a server whose model fails in a way nobody foresaw; by its handle, real batches that are counted."""

    def __init__(self, bundle: str) -> None:
        self.scorer = Scorer(read_bundle(bundle), device="cpu", batch_size=8)
        self.passes: list[int] = []
        backbone = self.scorer.network.backbone
        assert isinstance(backbone, nn.Module)
        backbone.register_forward_hook(lambda _, inputs, __: self.passes.append(len(inputs[0])))
        self.batches = BatchedScorer(self.scorer, max_batch_size=8, batch_wait_ms=500)

    async def count(self, photographs: list[tuple[str, bytes]], patients: Sequence[str] = ()) -> list[Score]:
        return await self.batches.score(photographs, patients)

    async def sizes(self) -> list[int]:
        """How many photographs each pass since the last call had."""
        sizes, self.passes[:] = list(self.passes), []
        return sizes

    async def score(
        self,
        photographs: Sequence[tuple[str, bytes]],
        patients: Sequence[str],
        known: Sequence[Mapping[str, float]] = (),
    ) -> list[Score]:
        raise RuntimeError("secret detail of the model")

    def __serve_build_asgi_app__(self) -> FastAPI:
        return build_api(self, self.scorer.bundle, ServeSettings(bundle="read above"), TOKEN)


def _files(photographs: Sequence[tuple[str, bytes]]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", photograph) for photograph in photographs]


def assert_same_row(row: dict, score: Score) -> None:
    assert (row["status"], row["reason"], row["bundle_id"]) == (score.status, score.reason, score.bundle_id)
    assert row["values"].keys() == score.values.keys()
    for task, prediction in score.values.items():
        assert row["values"][task]["value"] == pytest.approx(prediction.value, rel=1e-5, abs=1e-5)
        assert (row["values"][task]["low"], row["values"][task]["high"]) == (
            (None, None)
            if prediction.low is None
            else pytest.approx((prediction.low, prediction.high), rel=1e-5, abs=1e-5)
        )


def _answered(status: str) -> float:
    """Photographs of a status over the replicas of this node, as its metrics page has them."""
    node = ray.nodes()[0]
    page = httpx.get(f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics", timeout=10).text
    families = (family for family in text_string_to_metric_families(page) if "sepl_photographs" in family.name)
    samples = [sample for family in families for sample in family.samples]
    return sum(
        sample.value
        for sample in samples
        if sample.labels["status"] == status and sample.labels["application"] == "sepl"
    )
