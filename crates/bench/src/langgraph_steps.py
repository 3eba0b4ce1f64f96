"""Runs LangGraph graphs of many steps over its SQLite saver: one superstep, with one checkpoint, for each step.

Arguments: a directory, how many runs, steps of each run, bytes of each step. Prints JSON.
"""

import json
import operator
import os
import random
import sqlite3
import string
import sys
import threading
import time
from importlib.metadata import version
from typing import Annotated, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

directory, runs, steps, size = sys.argv[1], *map(int, sys.argv[2:5])


class State(TypedDict):
    results: Annotated[list, operator.add]


def step(state: State):
    text = "".join(random.choices(string.ascii_letters, k=size))
    return {"results": [text]}


def more(state: State):
    return "step" if len(state["results"]) < steps else END


graph = StateGraph(State)
graph.add_node("step", step)
graph.add_edge(START, "step")
graph.add_conditional_edges("step", more, ["step", END])

path = os.path.join(directory, "langgraph.db")
connection = sqlite3.connect(path, check_same_thread=False)
saver = SqliteSaver(connection)
saver.setup()
connection.execute("PRAGMA synchronous = FULL")
compiled = graph.compile(checkpointer=saver)


def run(number):
    config = {"configurable": {"thread_id": str(number)}, "recursion_limit": steps + 10}
    ended = compiled.invoke({"results": []}, config, durability="sync")
    assert len(ended["results"]) == steps


threads = [threading.Thread(target=run, args=(number,)) for number in range(runs)]
begun = time.perf_counter()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
seconds = time.perf_counter() - begun
connection.close()
stored = sum(os.path.getsize(os.path.join(directory, name)) for name in os.listdir(directory))
names = "langgraph", "langgraph-checkpoint-sqlite"
print(json.dumps({"seconds": seconds, "stored_bytes": stored, "version": " + ".join(f"{n} {version(n)}" for n in names)}))
