"""A signing service: FastAPI, one key in a token, many requests at once.

    pip install 'hwcng[pkcs11]' fastapi uvicorn
    HWCNG_KEY='pkcs11:token=...;object=...?module-path=...&pin-source=file:...' uvicorn signing_service:app

POST /signatures with the data gives {"signature": "..."}: r || s of ECDSA over SHA-256, in hexadecimal.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request

import hwcng
from hwcng import aio


@asynccontextmanager
async def opened(app: FastAPI) -> AsyncIterator[None]:
    # Each worker opens the key for itself, after it was forked.
    with hwcng.open_key(os.environ["HWCNG_KEY"]) as key:
        app.state.key = key
        yield


app = FastAPI(lifespan=opened)


@app.post("/signatures")
async def sign(request: Request) -> dict[str, str]:
    digest = hashlib.sha256(await request.body()).digest()
    try:
        signature = await aio.sign(request.app.state.key, None, digest)
    except hwcng.CngError as error:
        raise HTTPException(503, error.message) from error
    return {"signature": signature.hex()}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
