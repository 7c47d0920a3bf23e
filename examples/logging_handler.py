#!/usr/bin/env python3
"""A handler for Python's logging that sends records to WindTrap.  Only the standard library.

    import logging
    from logging_handler import WindTrapHandler

    logging.getLogger().addHandler(WindTrapHandler("http://127.0.0.1:8000/log", app="shop"))
    logging.getLogger("shop").warning("order %s paid", 4711, extra={"order": 4711})

Each record becomes one event: the message as it reads, level, logger, file and line, the
fields of extra, and of an exception its traceback as text.  Records wait in a bounded queue
and are sent by a thread of their own, many in one request, so that who logs never waits for
the network.  What cannot be stored at the moment is sent again, with growing pauses, until
it is; what has to be dropped, and why nothing gets through, is said on standard error.  When
the program ends, what is left is sent within shutdown_timeout seconds.

Where a token is needed, it is the argument token, or WINDTRAP_TOKEN.
"""
import collections
import http.client
import json
import logging
import math
import os
import ssl
import sys
import threading
import time
import traceback
import urllib.parse
import uuid
import weakref

# Try again: the event may be stored later.  Everything else of 4xx but these and
# SETTINGS says that the event will never be stored as it is.
AGAIN = {408, 425, 429, 500, 502, 503, 504}

# Not the event's fault: somebody has to make a token or set something, and until then the
# events wait.
SETTINGS = {401, 403, 404, 405, 421}

# What every record has; all else came by extra.
OWN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

WARN_INTERVAL = 10  # s; the same warning is not repeated sooner


def event_of(record):
    """What is sent of a record."""
    event = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        + f".{int(record.created % 1 * 1e6):06d}Z",
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
        "file": record.pathname,
        "line": record.lineno,
        "function": record.funcName,
        "process": record.process,
        "thread": record.threadName,
    }
    event.update((k, v) for k, v in vars(record).items() if k not in OWN)
    if record.exc_info and record.exc_info[0]:
        kind, error, _ = record.exc_info
        event["exception"] = kind.__name__
        event["error"] = str(error)
        event["traceback"] = "".join(traceback.format_exception(*record.exc_info))
    if record.stack_info:
        event["stack"] = record.stack_info
    return event


def plain(value):
    """The value as JSON can have it: no keys but texts, no NaN, nothing in a circle."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def line_of(event):
    try:
        text = json.dumps(event, default=str, allow_nan=False)
    except (TypeError, ValueError):
        try:
            text = json.dumps(plain(event))
        except RecursionError:
            text = json.dumps({k: repr(v) for k, v in event.items()})
    return text.encode() + b"\n"


class WindTrapHandler(logging.Handler):
    """See the module.  capacity: records that wait at most; further ones are dropped."""

    def __init__(
        self,
        url="http://127.0.0.1:8000/log",
        token=None,
        app=None,
        capacity=10_000,
        batch=500,
        timeout=35,
        shutdown_timeout=5,
        context=None,
        level=logging.NOTSET,
    ):
        super().__init__(level)
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not the address of a collector: {url}")
        self.url = parts
        self.token = token or os.environ.get("WINDTRAP_TOKEN")
        self.app = app
        self.capacity = capacity
        self.batch = batch
        self.timeout = timeout
        self.shutdown_timeout = shutdown_timeout
        self.context = context or (ssl.create_default_context() if parts.scheme == "https" else None)
        self._start()
        # A fork has the queue but not the thread: what waits there is the parent's to send.
        this = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: this() and this()._start())

    def _start(self):
        self.lines = collections.deque()
        self.changed = threading.Condition()
        self.in_flight = 0
        self.closing_at = None
        self.said = {}
        self.dropped = 0
        self.thread = None
        self.connection = None

    def emit(self, record):
        try:
            event = event_of(record)
            if self.app is not None:
                event.setdefault("app", self.app)
            line = line_of(event)
        except Exception:
            self.handleError(record)
            return
        with self.changed:
            full = self.closing_at is not None or len(self.lines) + self.in_flight >= self.capacity
            if full:
                self.dropped += 1
            else:
                self.lines.append(line)
                self.changed.notify_all()
            if self.thread is None and self.closing_at is None:
                self.thread = threading.Thread(target=self._send_all, name="windtrap", daemon=True)
                self.thread.start()
        if full:
            self._warn("dropped", f"more than {self.capacity} records wait: {self.dropped} dropped so far")

    def flush(self, timeout=None):
        """Waits until all records are stored, at most timeout seconds; False: they are not."""
        until = time.monotonic() + (self.shutdown_timeout if timeout is None else timeout)
        with self.changed:
            while (self.lines or self.in_flight) and self.thread and time.monotonic() < until:
                self.changed.wait(until - time.monotonic())
            return not (self.lines or self.in_flight)

    def close(self):
        with self.changed:
            already = self.closing_at is not None
            self.closing_at = time.monotonic() + self.shutdown_timeout
            self.changed.notify_all()
            thread = self.thread
        if not already:
            if thread:
                thread.join(self.shutdown_timeout + 1)
            left = len(self.lines) + self.in_flight
            if left or self.dropped:
                self._warn(
                    "lost",
                    f"{left} records could not be stored before the program ended, {self.dropped} were dropped before",
                )
        super().close()

    # The thread

    def _send_all(self):
        while True:
            with self.changed:
                while not self.lines and self.closing_at is None:
                    self.changed.wait()
                if not self.lines:
                    break
                lines = [self.lines.popleft() for _ in range(min(self.batch, len(self.lines)))]
                self.in_flight = len(lines)
            stored = self._send(lines)
            with self.changed:
                if stored:
                    self.in_flight = 0
                self.changed.notify_all()
            if not stored:
                break
        if self.connection:
            self.connection.close()

    def _send(self, lines):
        """Sends them until they are stored or refused; False: the program ends before."""
        attempt = 0
        # The same for all tries: what was stored, and whose answer got lost, is not stored twice.
        key = str(uuid.uuid4())
        while True:
            pause = min(2**attempt, 30)
            attempt += 1
            try:
                status, headers, body = self._post(b"".join(lines), key)
            except (OSError, http.client.HTTPException) as error:
                self._warn("unreachable", f"{self.url.netloc} cannot be reached: {error or type(error).__name__}")
                if isinstance(error, ssl.SSLCertVerificationError):
                    pause = 30
            else:
                if status < 300:
                    if body.get("rejected"):
                        first = (body.get("errors") or [{}])[0].get("error")
                        self._warn("rejected", f"{body['rejected']} records are in quarantine: {first}")
                    return True
                reason = f"{self.url.netloc} answers {status}: {body.get('error', '')}"
                if status == 413 and len(lines) > 1:
                    half = len(lines) // 2
                    return self._send(lines[:half]) and self._send(lines[half:])
                if status not in AGAIN and status not in SETTINGS:
                    self._warn("refused", f"{reason} ({len(lines)} records dropped)")
                    return True
                self._warn("again", f"{reason} (will try again)")
                try:
                    pause = max(pause, float(headers.get("Retry-After", 0)))
                except ValueError:
                    pass
            with self.changed:
                if self.closing_at is None:
                    self.changed.wait_for(lambda: self.closing_at is not None, pause)
                elif time.monotonic() + pause / 4 < self.closing_at:
                    self.changed.wait(pause / 4)
                else:
                    return False

    def _post(self, body, key):
        headers = {
            "Content-Type": "application/x-ndjson",
            "User-Agent": "windtrap-logging",
            "Idempotency-Key": key,
        }
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        target = (self.url.path or "/log") + (f"?{self.url.query}" if self.url.query else "")
        for fresh in (False, True):
            if self.connection is None:
                fresh = True
                if self.url.scheme == "https":
                    self.connection = http.client.HTTPSConnection(
                        self.url.hostname, self.url.port, timeout=self.timeout, context=self.context
                    )
                else:
                    self.connection = http.client.HTTPConnection(
                        self.url.hostname, self.url.port, timeout=self.timeout
                    )
            try:
                self.connection.request("POST", target, body, headers)
                answer = self.connection.getresponse()
                text = answer.read()
                break
            except (OSError, http.client.HTTPException) as error:
                self.connection.close()
                self.connection = None
                # One that was kept open may have been closed meanwhile, unheard and unread.
                if fresh or not isinstance(error, (ConnectionError, http.client.RemoteDisconnected)):
                    raise
        if answer.will_close:
            self.connection.close()
            self.connection = None
        try:
            return answer.status, answer.headers, json.loads(text)
        except ValueError:
            return answer.status, answer.headers, {"error": text[:200].decode("utf-8", "replace")}

    def _warn(self, kind, text):
        now = time.monotonic()
        if now - self.said.get(kind, -math.inf) >= WARN_INTERVAL:
            self.said[kind] = now
            try:
                print(f"windtrap: {text}", file=sys.stderr)
            except (OSError, ValueError):
                pass


if __name__ == "__main__":
    log = logging.getLogger("shop")
    log.setLevel(logging.INFO)
    log.addHandler(WindTrapHandler(os.environ.get("WINDTRAP_URL", "http://127.0.0.1:8000/log"), app="shop"))
    log.info("order %s paid", 4711, extra={"order": 4711})
