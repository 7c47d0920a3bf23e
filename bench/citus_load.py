#!/usr/bin/env python3
"""Sends bodies of 1,000 events to a collector for some seconds; says how many it took a second.

    citus_load.py PORT SECONDS ROUND [CONNECTIONS]
"""
import http.client
import json
import sys
import threading
import time

LINES = 1000
port, seconds, name = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
connections = int(sys.argv[4]) if len(sys.argv) > 4 else 4


def body(seed):
    """Lines as a web server's: about 250 bytes each."""
    return b"".join(
        json.dumps(
            {
                "level": "info" if i % 20 else "error",
                "app": "shop-%d" % (i % 7),
                "message": "GET /products/%d answered in %d ms" % (seed * LINES + i, i % 400),
                "status": 200 if i % 20 else 500,
                "user": {"id": (seed * 7919 + i * 104729) % 1000003, "agent": "Mozilla/5.0"},
                "trace": "%032x" % ((seed * LINES + i) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128),
            }
        ).encode()
        + b"\n"
        for i in range(LINES)
    )


bodies = [body(seed) for seed in range(50)]
taken = [0] * connections
refused = [0] * connections


def send(me):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    i = me
    while time.monotonic() < until:
        i += 1
        connection.request(
            "POST", "/log", bodies[i % len(bodies)], {"Content-Type": "application/x-ndjson"}
        )
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            taken[me] += LINES
        else:
            refused[me] += 1


begun = time.monotonic()
until = begun + seconds
threads = [threading.Thread(target=send, args=(me,)) for me in range(connections)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(
    "round %s: bodies of %d over HTTP: %.0f events/s, %d bodies refused"
    % (name, LINES, sum(taken) / (time.monotonic() - begun), sum(refused)),
    flush=True,
)
