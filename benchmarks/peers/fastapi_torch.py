"""FastAPI and plain torch, a thread a request: what most tutorials end with."""

import os

import uvicorn
from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool

from benchmarks.peers import network

app = FastAPI()
model = network.load()
prepare = network.prepare()
labels = network.card().labels


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {}


@app.post("/invocations")
async def invocations(request: Request) -> list[dict[str, object]]:
    return await run_in_threadpool(classify, await request.body())


def classify(body: bytes) -> list[dict[str, object]]:
    batch = prepare(network.opened(body)).unsqueeze(0)
    return network.labelled(network.scores(model, batch)[0], labels)


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
