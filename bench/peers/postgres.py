"""PostgreSQL's own ways in: pgbench's INSERT and psql's \\copy, of the documents that windtrap stored."""
import os

from measure import copy_rows, pgbench_scripts
from peers.peer import DURABLE, Peer, Table, backends

SCRIPTS = 16  # of pgbench's, a document each; each connection prepares all of them


class Insert(Peer):
    key, name, ack = "insert", "pgbench, INSERT", DURABLE

    def __init__(self, server, documents):
        self.server = server
        # As long as all of them, on average: one from the middle of each sixteenth.
        by_length = sorted(documents, key=len)
        self.scripts = []
        for i in range(SCRIPTS):
            path = os.path.join(server.options.scratch, "insert-%d.sql" % i)
            with open(path, "w") as f:
                f.write("INSERT INTO log_insert VALUES (now(), :d%d::jsonb, 0);\n" % i)
            self.scripts += ["-f", path, "-D", "d%d=%s" % (i, by_length[len(by_length) * (2 * i + 1) // (2 * SCRIPTS)])]
        super().__init__(Table(server, "log_insert"), {"one": None})

    def pids(self):
        return backends(self.server, "postgres")

    def load(self, kind, seconds):
        r = pgbench_scripts(self.server, kind.connections, seconds, self.scripts)
        return {"events": r["requests"], "rate": r["rate"], "p50": r["p50"], "p99": r["p99"], "refused": 0}


class Copy(Peer):
    """All in one statement, so that there is no answer before the last row."""
    key, name, ack = "copy", "psql, \\copy", DURABLE

    def __init__(self, server, path, rows):
        self.server, self.path, self.rows = server, path, rows
        super().__init__(Table(server, "log_copy"), {"many": None})

    def pids(self):
        return backends(self.server, "postgres")

    def load(self, kind, seconds):
        return {"events": self.rows, "rate": self.rows / copy_rows(self.server, self.path)[0], "p50": None, "p99": None, "refused": 0}
