"""Photographs of many requests in one pass through the network."""

import asyncio
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ray import serve as ray_serve
from ray.serve import metrics

from sepl.scoring.rows import Score
from sepl.scoring.scorer import Photograph, Reading, Scorer

LATENCY_BOUNDARIES_S = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]


class BatchedScorer:
    """A scorer for an event loop: threads decode, one thread holds the network, and batches gather over requests."""

    def __init__(self, scorer: Scorer, max_batch_size: int, batch_wait_ms: float) -> None:
        self.scorer = scorer
        num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self._decoders = ThreadPoolExecutor(num_threads, thread_name_prefix="decode")
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

    async def score(self, photographs: Sequence[tuple[str, bytes]]) -> list[Score]:
        """Scores in the order given; as `Scorer.score_bytes`."""
        start = time.perf_counter()
        scores = await asyncio.gather(*(self._score_one(name, data) for name, data in photographs))
        self._seconds.observe(time.perf_counter() - start)
        for score in scores:
            self._photographs.inc(tags={"status": score.status})
        return scores

    async def _score_one(self, name: str, data: bytes) -> Score:
        loop = asyncio.get_running_loop()
        reading = await loop.run_in_executor(self._decoders, self.scorer.read, Photograph(name, partial(bytes, data)))
        if reading.pixels is None:
            return self.scorer.score_readings([reading])[0]
        return await self._gathered(reading)

    async def _forward(self, readings: list[Reading]) -> list[Score]:
        return await asyncio.get_running_loop().run_in_executor(self._network, self.scorer.score_readings, readings)
