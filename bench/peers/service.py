"""The service that windtrap replaces: events over HTTP into a table of PostgreSQL's, by Flask and psycopg2.

POST /log inserts one row (event_timestamp, data, status) with what is known of the request, the event untouched under
`json`, prints the same line, and answers when the row is committed. The original also wrote into MongoDB; here that is
left out, which makes it faster. gunicorn runs it; its settings are in the environment: SERVICE_DATABASE is a connection string, SERVICE_TABLE the table, and
with SERVICE_KEEPS_CONNECTION each of gunicorn's workers has one connection, which it keeps, instead of one a request.
"""
import json
import os
from datetime import datetime, timezone

import psycopg2
from flask import Flask, jsonify, request
from psycopg2.extras import Json

app = Flask(__name__)
INSERT = "INSERT INTO %s VALUES (%%s, %%s, 0)" % os.environ["SERVICE_TABLE"]
KEEPS = bool(os.environ.get("SERVICE_KEEPS_CONNECTION"))
kept = None


def connect():
    global kept
    if kept is None or kept.closed:
        kept = psycopg2.connect(os.environ["SERVICE_DATABASE"])
    return kept


def insert(when, data):
    global kept
    connection = connect()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(INSERT, (when, Json(data)))
    finally:
        if not KEEPS:
            connection.close()
            kept = None


@app.post("/log")
def log():
    now = datetime.now(timezone.utc)
    data = {
        "time": now.isoformat(), "ip": request.remote_addr, "host": request.host, "method": request.method,
        "path": request.path, "args": request.args, "headers": dict(request.headers), "json": request.get_json(force=True)}
    insert(now, data)
    print(json.dumps(data), flush=True)
    return jsonify(accepted=1)
