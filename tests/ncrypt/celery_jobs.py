"""A Celery application whose messages and results are files in CELERY_FOLDER."""

from __future__ import annotations

import os

from celery import Celery

import hwcng
from hwcng.bcrypt import BCryptSignHash

_FOLDER = os.environ["CELERY_FOLDER"]

app = Celery("celery_jobs", broker="filesystem://", backend=f"file://{_FOLDER}/results")
app.conf.broker_transport_options = {
    "data_folder_in": f"{_FOLDER}/queue",
    "data_folder_out": f"{_FOLDER}/queue",
    "control_folder": f"{_FOLDER}/control",
}


@app.task
def sign(uri: str, digest: str) -> str:
    """The signature, both in hexadecimal: Celery's messages are JSON."""
    return BCryptSignHash(hwcng.open_key(uri), None, bytes.fromhex(digest)).hex()  # type: ignore[arg-type]
