#!/usr/bin/env python3
"""Sends one event to WindTrap and keeps trying until it is stored.

    python3 examples/send.py '{"app": "middleware", "event": "upgrade completed"}'

Only the standard library.  200 says that the event is committed; 408, 429, 503 and a
connection that breaks say that it may not be: send it again, with the same Idempotency-Key, so
that it is stored once even if it was only the answer that got lost.  Anything else says that this
event will never be stored as it is.  Why it tries again is said on standard error.  Where a
token is needed, it is taken from WINDTRAP_TOKEN.
"""
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
import uuid

URL = os.environ.get("WINDTRAP_URL", "http://127.0.0.1:8000/log")
TOKEN = os.environ.get("WINDTRAP_TOKEN")


def send(event, url=URL, tries=10):
    request = urllib.request.Request(
        url,
        data=json.dumps(event).encode(),
        headers={"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())},
    )
    if TOKEN:
        request.add_header("Authorization", f"Bearer {TOKEN}")
    for attempt in range(tries):
        try:
            with urllib.request.urlopen(request, timeout=35) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code not in (408, 429, 503):
                raise SystemExit(f"refused ({error.code}): {error.read().decode()}")
            pause = float(error.headers.get("Retry-After", 1))
            reason = f"{error.code}: {error.read().decode().strip()}"
        except OSError as error:
            pause = 1
            reason = getattr(error, "reason", error)
            # No other try will find it trusted.
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise SystemExit(f"not stored: {reason}")
        pause = min(pause * 2**attempt, 30)
        print(f"not stored yet ({reason}), again in {pause:g} s", file=sys.stderr)
        time.sleep(pause)
    raise SystemExit("not stored: the collector cannot be reached")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(f"usage: {sys.argv[0]} '<event as JSON>'")
    try:
        event = json.loads(sys.argv[1])
    except ValueError as error:
        raise SystemExit(f"this is not JSON: {error}")
    print(send(event))
