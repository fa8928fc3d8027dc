"""The HTTP interface: `POST /v1/score`, `GET /v1/model`, `/healthz`, OpenAPI at `/docs`."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Annotated, Any, Protocol

from fastapi import Depends, FastAPI, File, Form, UploadFile
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from sepl.bundle.format import ModelBundle
from sepl.scoring.rows import Score
from serve.auth import BearerAuth
from serve.known import parse_known
from serve.limits import BodyLimit
from serve.problems import add_problem_handlers
from serve.schemas import (
    MAX_FILES,
    MEGABYTE,
    HealthReply,
    ModelReply,
    Problem,
    ScoresReply,
    ServeSettings,
    model_reply,
    score_reply,
)

ABOUT = """\
Values of cardiometabolic factors from colour fundus photographs. For research; not a medical device.

A photograph that cannot be read, or is no fundus photograph, has a row of its own with `status` failed or rejected; the
others are scored all the same.

Photographs of one patient, told by `patients`, are judged together, as when the model was calibrated and tested: each
of their rows has the patient's values. Nothing of a request is joined with another's.

What is known of a patient beside the photographs, told by `known`, stands as it is and sharpens the other values; what
is implausible, or contradicts the photographs, is ignored and `given_ignored` says why.
"""

Files = Annotated[
    list[UploadFile],
    File(
        description="JPEG, PNG, TIFF or DICOM; of several frames, the first",
        json_schema_extra={"minItems": 1, "maxItems": MAX_FILES},
    ),
]

Patients = Annotated[
    list[str],
    Form(
        default_factory=list,
        description="Whose each file is, one value a file in the order of the files; empty: nobody else's. "
        "Without this field every file is judged alone",
        json_schema_extra={"maxItems": MAX_FILES},
    ),
]


Known = Annotated[
    list[str],
    Form(
        default_factory=list,
        description='What is known beside the photographs, a JSON object such as {"age": 61, "sex": "F"}: one a file '
        "in the order of the files, or one for all. Names and units as in `GET /v1/model`",
        json_schema_extra={"maxItems": MAX_FILES},
    ),
]


class Scoring(Protocol):
    """What the interface needs of the model behind it."""

    async def score(
        self,
        photographs: Sequence[tuple[str, bytes]],
        patients: Sequence[str],
        known: Sequence[Mapping[str, float]] = (),
    ) -> list[Score]: ...


def build_api(scoring: Scoring, bundle: ModelBundle, settings: ServeSettings, token: str | None) -> FastAPI:
    """The application; with a token, everything but health and documentation asks for it."""
    api = FastAPI(
        title="sepl",
        version=version("sepl"),
        description=ABOUT,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        responses={401: _problem("No or a wrong bearer token")} if token else {},
    )
    add_problem_handlers(api)
    api.add_middleware(BodyLimit, max_bytes=int(settings.max_request_mb * MEGABYTE))
    guarded = [Depends(HTTPBearer(auto_error=False))] if token else []  # for the documentation; BearerAuth decides
    if token:
        api.add_middleware(BearerAuth, token=token)

    @api.post("/v1/score", responses=_SCORE_PROBLEMS, dependencies=guarded)
    async def score(files: Files, patients: Patients, known: Known) -> ScoresReply:
        """Score 1 to 64 photographs: a row for each, in the order sent; those of a patient together."""
        told = parse_known(known, len(files), bundle.manifest)
        photographs = await _read(files, settings.max_file_mb)
        scores = await scoring.score(photographs, _whose(patients, len(files)), told)
        rows = [score_reply(score, bundle.manifest) for score in scores]
        return ScoresReply(bundle_id=bundle.bundle_id, scores=rows)

    @api.get("/v1/model", dependencies=guarded)
    async def model() -> ModelReply:
        """Tasks with units, calibration, provenance, and how good the model is on sealed patients."""
        return model_reply(bundle)

    @api.get("/healthz")
    async def health() -> HealthReply:
        """Answers once the model is ready."""
        return HealthReply(status="ok", bundle_id=bundle.bundle_id)

    return api


def _problem(description: str) -> dict[str, Any]:
    schema = {"schema": Problem.model_json_schema()}
    return {"description": description, "content": {"application/problem+json": schema}}


_SCORE_PROBLEMS: dict[int | str, dict[str, Any]] = {
    413: _problem(f"More than {MAX_FILES} files, a file too large, or a request too large"),
    422: _problem("Not a multipart form of files, or not as many patients as files, or known values that are none"),
    503: _problem("Too many requests are waiting"),
}


async def _read(files: Sequence[UploadFile], max_file_mb: float) -> list[tuple[str, bytes]]:
    if len(files) > MAX_FILES:
        raise HTTPException(413, f"a request should have at most {MAX_FILES} files, had {len(files)}")
    for file in files:
        if (file.size or 0) > max_file_mb * MEGABYTE:
            raise HTTPException(413, f"a file should have at most {max_file_mb:g} MB, {_name(file)!r} has more")
    return [(_name(file), await file.read()) for file in files]


def _whose(patients: Sequence[str], num_files: int) -> list[str]:
    if patients and len(patients) != num_files:
        raise HTTPException(422, f"patients should be one a file, {num_files}, were {len(patients)}")
    return [_as_json_can_hold(patient).strip() for patient in patients]


def _name(file: UploadFile) -> str:
    return _as_json_can_hold(file.filename or "")


def _as_json_can_hold(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
