#!/usr/bin/env python3
"""Python's own logging, sent to WindTrap by the handler of the standard library.

The handler posts a form; each log record becomes one event, an object of its fields.  Where
a token is needed, it is the password, taken from WINDTRAP_TOKEN.
"""
import logging
import logging.handlers
import os

token = os.environ.get("WINDTRAP_TOKEN")
handler = logging.handlers.HTTPHandler(
    os.environ.get("WINDTRAP_HOST", "127.0.0.1:8000"),
    "/log",
    method="POST",
    credentials=("", token) if token else None,
)
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(handler)

log.info("order %s paid", 4711)
