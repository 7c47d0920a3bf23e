"""Sends messages of syslog by TCP, which has no answers, and waits until they are all stored."""
import socket
import threading
import time

import psycopg2

from measure import Failed
from peers.peer import make_role

CHUNK = 100    # messages that are sent in one piece
PATIENCE = 5   # seconds without another event stored, after which the rest is given up


class Sender:
    """Sends to a port whose messages become rows of a table. First a few, to learn how many a round takes."""

    def __init__(self, server, port, table, frames):
        self.port, self.table = port, table
        self.chunks = [b"".join(frames[i:i + CHUNK]) for i in range(0, len(frames) - CHUNK + 1, CHUNK)]
        self.database = psycopg2.connect(host="127.0.0.1", port=server.options.pg_port, user=make_role(server, "counter_%d" % port), dbname="postgres")
        self.database.autocommit = True
        self.counting = self.database.cursor()
        self.connect(1)[0].close()
        table.clear()
        self.rate = 0
        for events in (1000, 20000):
            self.rate = self.send(4, events)["rate"]
            table.clear()

    def count(self):
        self.counting.execute("SELECT count(*) FROM " + self.table.name)
        return self.counting.fetchone()[0]

    def connect(self, n):
        """Connections, as soon as somebody listens."""
        deadline = time.monotonic() + 20
        while True:
            try:
                return [socket.create_connection(("127.0.0.1", self.port), timeout=60) for _ in range(n)]
            except OSError as e:
                if time.monotonic() > deadline:
                    raise Failed("nobody listens for syslog: %s" % e) from None
                time.sleep(0.05)

    def send(self, connections, events):
        """So many, or a few more; the rate is that at which they came to be stored."""
        n = max(1, events // CHUNK // connections)
        sockets, failed = self.connect(connections), []

        def run(s, first):
            try:
                for i in range(n):
                    s.sendall(self.chunks[(first + i) % len(self.chunks)])
            except OSError as e:
                failed.append(e)
            s.close()

        threads = [threading.Thread(target=run, args=(s, i * n)) for i, s in enumerate(sockets)]
        begin = changed = time.monotonic()
        for t in threads:
            t.start()
        sent, stored = n * connections * CHUNK, 0
        while stored < sent and time.monotonic() - changed < PATIENCE and not failed:
            time.sleep(0.05)
            now = self.count()
            if now > stored:
                stored, changed = now, time.monotonic()
        for t in threads:
            t.join()
        if failed:
            raise Failed("syslog: %s" % failed[0])
        if not stored:
            raise Failed("of %d messages none is stored" % sent)
        return {"events": sent, "rate": stored / (changed - begin), "p50": None, "p99": None, "refused": 0}

    def load(self, kind, seconds):
        return self.send(kind.connections, int(self.rate * seconds))
