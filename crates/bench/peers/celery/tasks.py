"""The ordinary job as a Celery chord: two steps at once, then a last one; all may be lost and come again."""

import os

from celery import Celery

redis = os.environ["REDIS"]
app = Celery("tasks", broker=f"{redis}/0", backend=f"{redis}/1")
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


@app.task
def step(number):
    """Does nothing."""
    return number


@app.task
def last(results, number):
    """Does nothing, after the others."""
    return number
