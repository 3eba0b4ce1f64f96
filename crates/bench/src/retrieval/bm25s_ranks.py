"""Ranks documents by bm25s, by the rule that Lucene uses, on terms that somebody else made.

Arguments: a file with JSON: units (lists of terms), queries (lists of terms), k1, b, limit. Prints, as JSON, the version,
and the best units of each query with their scores.
"""

import json
import sys
from importlib.metadata import version

import bm25s
import numpy

with open(sys.argv[1], encoding="utf8") as file:
    given = json.load(file)

ranker = bm25s.BM25(method="lucene", k1=given["k1"], b=given["b"])
ranker.index(given["units"], show_progress=False)
ranks = []
for terms in given["queries"]:
    known = [term for term in terms if term in ranker.vocab_dict]
    scores = ranker.get_scores(known) if known else numpy.zeros(len(given["units"]))
    best = numpy.argsort(-scores, kind="stable")[: given["limit"]]
    ranks.append([int(unit) for unit in best if scores[unit] > 0])
print(json.dumps({"version": f"bm25s {version('bm25s')}", "ranks": ranks}))
