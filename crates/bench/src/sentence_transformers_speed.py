"""Embeds texts with Sentence Transformers and prints how long each round took, as JSON.

Arguments: the directory of the model, a JSON file with the texts, how many rounds.
"""

import json
import sys
import time
from importlib.metadata import version

import torch
from sentence_transformers import SentenceTransformer

directory, file, rounds = sys.argv[1:]
with open(file, encoding="utf-8") as given:
    texts = json.load(given)
model = SentenceTransformer(directory, device="cpu")
model.encode(texts[:32], normalize_embeddings=True)
seconds = []
for _ in range(int(rounds)):
    begun = time.perf_counter()
    vectors = model.encode(texts, normalize_embeddings=True, batch_size=32, show_progress_bar=False)
    seconds.append(time.perf_counter() - begun)
begun = time.perf_counter()
for text in texts[:50]:
    model.encode([text[:60]], normalize_embeddings=True, show_progress_bar=False)
query = (time.perf_counter() - begun) / 50
versions = f"sentence-transformers {version('sentence-transformers')}, torch {torch.__version__}"
print(json.dumps({"version": versions, "seconds": seconds, "query_seconds": query}))
