"""Answers health checks over ZeroMQ, at a free port, whose number it prints."""

import zmq

socket = zmq.Context().socket(zmq.REP)
print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
while True:
    socket.recv_json()
    socket.send_json({"status": "ok"})
