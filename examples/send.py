#!/usr/bin/env python3
"""Sends one event to WindTrap and keeps trying until it is stored.

    python3 examples/send.py '{"app": "middleware", "event": "upgrade completed"}'

Only the standard library.  200 says that the event is committed; 503 and a connection
that breaks say that it may not be: send it again.  Anything else says that this event
will never be stored as it is.
"""
import json
import sys
import time
import urllib.error
import urllib.request

URL = "http://127.0.0.1:8000/log"


def send(event, url=URL, tries=10):
    request = urllib.request.Request(
        url,
        data=json.dumps(event).encode(),
        headers={"Content-Type": "application/json"},
    )
    for attempt in range(tries):
        try:
            with urllib.request.urlopen(request, timeout=35) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise SystemExit(f"refused ({error.code}): {error.read().decode()}")
            pause = float(error.headers.get("Retry-After", 1))
        except OSError:
            pause = 1
        time.sleep(min(pause * 2**attempt, 30))
    raise SystemExit("not stored: the collector cannot be reached")


if __name__ == "__main__":
    print(send(json.loads(sys.argv[1])))
