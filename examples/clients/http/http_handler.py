#!/usr/bin/env python3
"""Python's own HTTPHandler to WindTrap; nothing to install.  Where a token is needed, it is the password.

It sends a form of texts while you log, and does not look at the answer: what is refused is lost in
silence.  examples/logging_handler.py, one file to copy, sends JSON in the background, and again.
"""
import logging
import logging.handlers
import os
from urllib.parse import urlsplit


class Handler(logging.handlers.HTTPHandler):
    def mapLogRecord(self, record):
        self.format(record)  # makes message, and exc_text of an exception
        return {k: v for k, v in vars(record).items() if v is not None and k not in ("msg", "args", "exc_info")}


url = urlsplit(os.environ.get("WINDTRAP_URL", "http://127.0.0.1:8000"))
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(
    Handler(
        url.netloc,
        "/log?time_field=created",
        method="POST",
        secure=url.scheme == "https",
        credentials=("any", os.environ.get("WINDTRAP_TOKEN", "")),
    )
)

log.info("user alice logged in")
log.warning("Grüße, 世界 🚀", extra={"order": 42})
try:
    raise ValueError("no funds")
except ValueError:
    log.exception("cannot charge card")
