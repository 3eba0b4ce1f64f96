"""A stand-in for any agent of the fleet.

It answers `{"action": "health_check"}` on its health port and nowhere else, and can be told to be slow, to fail, to hang or to lie:
by a JSON object in the variable AGENT_BEHAVIOUR, in the file HOST.NAME.json of the directory AGENT_CONTROL, or, while
it runs, by the request `{"action": "control", "set": {…}}`.

    start_ms    how long it takes before it answers
    answer_ms   how long each answer takes
    fail        the code that it ends with at its start; fail_times: at its first starts only
    status      what it says of itself instead of "ok"
    hang        true: it takes requests and does not answer
    crash       the code that it ends with now; crash_ms: after that time
    print       how many lines it prints at its start
    take_port   a port that it takes besides its own

In the directory AGENT_STAMPS it writes when it was started and when it was ready, by the machine's monotonic clock.
"""

import json
import os
import signal
import time

STARTED = time.monotonic_ns()
NAME = os.environ.get("MASQUE_SERVICE", "agent").rpartition("/")[2]
HOST = os.environ.get("MASQUE_HOST", "local")
USUAL = {"status": "ok", "start_ms": 0, "answer_ms": 0}


def main():
    behaviour = read_behaviour()
    stamp("started", STARTED)
    signal.signal(signal.SIGTERM, stop)
    fail(behaviour)
    for number in range(behaviour.get("print", 0)):
        print(f"{NAME}: line {number} " + "." * 80)
    time.sleep(behaviour["start_ms"] / 1000)
    serve(behaviour)


def read_behaviour():
    behaviour = dict(USUAL)
    behaviour.update(json.loads(os.environ.get("AGENT_BEHAVIOUR") or "{}"))
    try:
        with open(own_file("AGENT_CONTROL", ".json"), encoding="utf-8") as file:
            behaviour.update(json.load(file))
    except OSError:
        pass
    return behaviour


def own_file(variable, ending):
    return os.path.join(os.environ.get(variable) or "/nonexistent", f"{HOST}.{NAME}{ending}")


def stamp(event, at=None):
    line = {"event": event, "at_ns": at or time.monotonic_ns(), "pid": os.getpid()}
    try:
        with open(own_file("AGENT_STAMPS", ".jsonl"), "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    except OSError:
        pass


def stop(_signal, _frame):
    stamp("stopped")
    os._exit(0)


def fail(behaviour):
    if "fail" not in behaviour:
        return
    starts = 0
    try:
        with open(own_file("AGENT_STAMPS", ".jsonl"), encoding="utf-8") as file:
            starts = sum('"started"' in line for line in file)
    except OSError:
        pass
    if starts <= behaviour.get("fail_times", starts):
        print(f"{NAME}: fails as it was told", flush=True)
        os._exit(behaviour["fail"])


def serve(behaviour):
    # What it costs to start is mostly this import.
    import zmq

    context = zmq.Context()
    poller = zmq.Poller()
    asked_here = {}
    address = os.environ.get("AGENT_LISTEN", "0.0.0.0")
    health = os.environ.get("AGENT_HEALTH_PORT") or os.environ.get("PORT")
    for port in {os.environ.get("PORT"), health, str(behaviour.get("take_port", ""))} - {None, ""}:
        socket = context.socket(zmq.REP)
        socket.linger = 0
        socket.bind(f"tcp://{address}:{port}")
        poller.register(socket, zmq.POLLIN)
        asked_here[socket] = port == health
    stamp("ready")
    print(f"{NAME}: ready", flush=True)
    while True:
        for socket, _ in poller.poll(crash_in(behaviour)):
            hangs = behaviour.get("hang")
            answer = reply(socket.recv(), behaviour, asked_here[socket])
            if hangs:
                # Without an answer the socket takes no further request.
                poller.unregister(socket)
                continue
            time.sleep(behaviour["answer_ms"] / 1000)
            socket.send(json.dumps(answer).encode())
        crash(behaviour)


def reply(request, behaviour, is_health_port):
    try:
        request = json.loads(request)
        action = request.get("action")
    except (ValueError, AttributeError):
        return {"status": "error", "error": "the request is no JSON object"}
    if action == "control":
        behaviour.update(request.get("set", {}))
        return {"status": "ok", "behaviour": behaviour}
    if action == "health_check" and is_health_port:
        instance = os.environ.get("MASQUE_INSTANCE")
        return {"status": behaviour["status"], "name": NAME, "pid": os.getpid(), "instance": instance}
    if action == "environment":
        return {"status": "ok", "environment": dict(os.environ)}
    return {"status": "error", "error": f"unknown action {action!r}"}


def crash_in(behaviour):
    """Milliseconds until it has to end, for the poller; none when it has not."""
    if "crash" not in behaviour:
        return None
    due = STARTED / 1e6 + behaviour.get("crash_ms", 0)
    return max(0, due - time.monotonic_ns() / 1e6)


def crash(behaviour):
    if crash_in(behaviour) == 0:
        stamp("crashed")
        os._exit(behaviour["crash"])
