"""One health check, as a command in a container does it: a start of Python each time."""

import sys

import zmq

socket = zmq.Context().socket(zmq.REQ)
socket.connect(f"tcp://127.0.0.1:{sys.argv[1]}")
socket.setsockopt(zmq.RCVTIMEO, 5000)
socket.send_json({"action": "health_check"})
print(socket.recv_json())
