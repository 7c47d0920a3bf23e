"""Loki, one process that does everything, with files. It answers when it has written the events into its log, which it
does not wait to have on disk.

It leaves out an event that it has already, by time and text. Requests come again and again, so each pass over them has a
label of its own, which bodies.lua counts.
"""
import json
import os
import re
import shutil
import time
import urllib.parse
import urllib.request

import encoders
from measure import directory_size, free_port, post, run
from peers.peer import MEMORY, HttpPeer, launch

PASS = "PASS00000000"

# Nothing of its own but where it is, and limits that would be met by the load.
CONFIGURATION = """
auth_enabled: false
server:
  http_listen_address: 127.0.0.1
  http_listen_port: %(http)d
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: %(grpc)d
  log_level: error
common:
  instance_addr: 127.0.0.1
  path_prefix: %(home)s
  storage:
    filesystem:
      chunks_directory: %(home)s/chunks
      rules_directory: %(home)s/rules
  replication_factor: 1
  ring:
    kvstore:
      store: inmemory
schema_config:
  configs:
    - from: 2024-01-01
      store: tsdb
      object_store: filesystem
      schema: v13
      index:
        prefix: index_
        period: 24h
limits_config:
  ingestion_rate_mb: 10000
  ingestion_burst_size_mb: 10000
  per_stream_rate_limit: 10GB
  per_stream_rate_limit_burst: 10GB
  max_global_streams_per_user: 0
analytics:
  reporting_enabled: false
"""


def push(events):
    """A stream for each service; the line is the event."""
    return encoders.compact({"streams": [
        {"stream": {"app": app, "pass": PASS}, "values": [[str(e.ns()), encoders.compact(e.fields)] for e in group]}
        for app, group in encoders.grouped(events, lambda e: e.app)]}).encode()


def find():
    return os.environ.get("LOKI") or shutil.which("loki")


class Store:
    """What has come since clear(); nothing is deleted."""

    def __init__(self, port, home):
        self.port, self.home, self.before = port, home, 0

    def all(self):
        query = urllib.parse.urlencode({"query": 'sum(count_over_time({app=~".+"}[2h]))', "time": "%d" % (time.time() + 600)})
        with urllib.request.urlopen("http://127.0.0.1:%d/loki/api/v1/query?%s" % (self.port, query), timeout=120) as answer:
            result = json.load(answer)["data"]["result"]
        return int(result[0]["value"][1]) if result else 0

    def clear(self):
        self.before = self.all()

    def count(self):
        return self.all() - self.before

    def size(self):
        """Bytes of what has come since then, if all events take as many: chunks and their index, without the log."""
        now = self.all()
        return (directory_size(self.home) - directory_size(os.path.join(self.home, "wal"))) * (now - self.before) / now

    def wal(self):
        return directory_size(os.path.join(self.home, "wal"))

    def settle(self):
        post(self.port, "/flush", b"", {})  # it writes what it would write within half an hour

    def cpu(self):
        return 0


class Loki(HttpPeer):
    key, name, ack = "loki", "Loki", MEMORY
    arguments = (PASS,)

    def __init__(self, server, requests, binary):
        self.binary = binary
        port, home = free_port(), os.path.join(server.options.scratch, "loki")
        os.mkdir(home)
        path = os.path.join(home, "loki.yaml")
        with open(path, "w") as f:
            f.write(CONFIGURATION % {"http": port, "grpc": free_port(), "home": home})
        self.url = "http://127.0.0.1:%d" % port
        super().__init__(Store(port, home), {
            load: requests.write("loki-" + load, n, encoders.JSON, "/loki/api/v1/push", push) for load, n in (("one", 1), ("many", 1000))})
        self.processes = [launch(server, self.key, [binary, "-config.file=" + path], port)]

    def version(self):
        found = re.search(r"version (\d+\.\d+\.\d+)", run([self.binary, "-version"], 20))
        return "Loki" + (" " + found[1] if found else "")
