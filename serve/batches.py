"""Photographs of many requests in one pass through the network.

What is gathered are patients: the photographs of one travel together, so that they are judged together. Ray counts the
patients; the scorer passes at most its batch size of photographs through the network at a time, whatever was gathered.
(Ray's `batch_size_fn` could count photographs, but it refuses a patient with more than fit, and puts who does not fit
any more behind all who came later, each time anew.)
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain

from ray import serve as ray_serve
from ray.serve import metrics

from sepl.execution.cores import num_cores
from sepl.scoring.known import check_rows
from sepl.scoring.patients import group_patients, order_by_patient, patient_keys
from sepl.scoring.readings import Photograph, Reading
from sepl.scoring.rows import Score
from sepl.scoring.scorer import Scorer

LATENCY_BOUNDARIES_S = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]


class BatchedScorer:
    """A scorer for an event loop: threads decode, one thread holds the network, and batches gather over requests.

    The scorer's own batch size bounds what passes through the network at once.
    """

    def __init__(self, scorer: Scorer, max_batch_size: int, batch_wait_ms: float) -> None:
        self.scorer = scorer
        self._decoders = ThreadPoolExecutor(num_cores(), thread_name_prefix="decode")
        self._network = ThreadPoolExecutor(1, thread_name_prefix="network")
        gather = ray_serve.batch(max_batch_size=max_batch_size, batch_wait_timeout_s=batch_wait_ms / 1000)
        self._gathered = gather(self._forward)
        self._photographs = metrics.Counter(
            "sepl_photographs", description="Photographs answered, by status.", tag_keys=("status",)
        )
        self._seconds = metrics.Histogram(
            "sepl_score_seconds",
            description="Seconds from a request's photographs to their scores.",
            boundaries=LATENCY_BOUNDARIES_S,
        )

    async def score(
        self,
        photographs: Sequence[tuple[str, bytes]],
        patients: Sequence[str] = (),
        known: Sequence[Mapping[str, float]] = (),
    ) -> list[Score]:
        """Scores in the order given; as `Scorer.score_bytes`. Patients of two calls are never joined."""
        start = time.perf_counter()
        keys = patient_keys(patients, len(photographs))
        order = order_by_patient(keys).tolist()
        told = check_rows(known, len(photographs), self.scorer.bundle.manifest)
        given = (
            Photograph(photographs[place][0], partial(bytes, photographs[place][1]), "", keys[place], told[place])
            for place in order
        )
        by_patient = await asyncio.gather(*(self._score_patient(rows) for rows in group_patients(given)))
        scored = dict(zip(order, chain.from_iterable(by_patient), strict=True))
        scores = [scored[place] for place in range(len(order))]
        self._seconds.observe(time.perf_counter() - start)
        for score in scores:
            self._photographs.inc(tags={"status": score.status})
        return scores

    async def _score_patient(self, photographs: Sequence[Photograph]) -> list[Score]:
        loop = asyncio.get_running_loop()
        reading = (loop.run_in_executor(self._decoders, self.scorer.read, photograph) for photograph in photographs)
        readings = await asyncio.gather(*reading)
        if all(reading.pixels is None for reading in readings):
            return self.scorer.score_readings(readings)
        return await self._gathered(readings)

    async def _forward(self, patients: list[list[Reading]]) -> list[list[Score]]:
        return await asyncio.get_running_loop().run_in_executor(self._network, self.scorer.score_patients, patients)
