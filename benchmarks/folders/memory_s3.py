"""As much of S3 as a transform job uses, in memory: it costs next to nothing."""

import io
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class NoSuchKey(KeyError):
    """There is no such object."""


class MemoryS3:
    """Thread-safe as dictionaries are. Holds what it is given and every output: some 1 KB each."""

    exceptions = SimpleNamespace(NoSuchKey=NoSuchKey)

    def __init__(self, objects: dict[str, bytes]) -> None:
        self._objects = objects
        self.began = 0.0
        """When the first object was asked for, by time.perf_counter()."""
        self.written: list[float] = []
        """When each output came."""

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        if Key not in self._objects:
            raise NoSuchKey(Key)
        self.began = self.began or time.perf_counter()
        body = self._objects[Key]
        return {"ContentLength": len(body), "Body": io.BytesIO(body)}

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        self._objects[Key] = Body
        self.written.append(time.perf_counter())

    def download_file(self, Bucket: str, Key: str, Filename: str) -> None:
        Path(Filename).write_bytes(self._objects[Key])
