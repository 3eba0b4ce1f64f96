"""Puts vectors of a file into LanceDB, makes the index of its defaults, and asks questions one after the other.

Arguments: the directory with vectors.f32 and questions.f32, the numbers per vector, the results per question.
"""

import importlib.metadata
import json
import sys
import time
from pathlib import Path

import lancedb
import numpy
import pyarrow

place, dimension, wanted = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
vectors = numpy.memmap(place / "vectors.f32", dtype="<f4", mode="r").reshape(-1, dimension)
questions = numpy.fromfile(place / "questions.f32", dtype="<f4").reshape(-1, dimension)
schema = pyarrow.schema([("id", pyarrow.int64()), ("vector", pyarrow.list_(pyarrow.float32(), dimension))])


def batches(size=50_000):
    for start in range(0, len(vectors), size):
        part = numpy.ascontiguousarray(vectors[start : start + size])
        values = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(part.reshape(-1)), dimension)
        ids = pyarrow.array(range(start, start + len(part)), pyarrow.int64())
        yield pyarrow.RecordBatch.from_arrays([ids, values], schema=schema)


table = lancedb.connect(place / "lance").create_table("vectors", batches(), schema=schema)
table.create_index(metric="cosine")
found, milliseconds = [], []
for question in questions:
    begun = time.perf_counter()
    rows = table.search(question).distance_type("cosine").select(["id"]).limit(wanted).to_arrow()
    milliseconds.append((time.perf_counter() - begun) * 1e3)
    found.append(rows.column("id").to_pylist())
version = importlib.metadata.version("lancedb")
print(json.dumps({"version": version, "ids": found, "milliseconds": milliseconds}))
