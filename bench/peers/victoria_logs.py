"""VictoriaLogs, with its defaults. It answers when it has the events in its memory, and writes them seconds later."""
import os
import re

import encoders
from measure import VictoriaLogs, directory_size, run
from peers.peer import MEMORY, HttpPeer, Process


class Store:
    """What has come since clear(); nothing is deleted."""

    def __init__(self, victoria, directory):
        self.victoria, self.directory, self.before = victoria, directory, 0

    def clear(self):
        self.before = self.victoria.count()

    def count(self):
        return self.victoria.count() - self.before

    def size(self):
        """Bytes of what has come since then, if all events take as many."""
        return directory_size(self.directory) * self.count() / self.victoria.count()

    def wal(self):
        return None  # it has none

    def settle(self):
        self.victoria.count()  # which has it write all

    def cpu(self):
        return 0


class VictoriaLogsPeer(HttpPeer):
    key, name, ack = "victoria-logs", "VictoriaLogs", MEMORY

    def __init__(self, server, requests, binary):
        self.binary = binary
        victoria = VictoriaLogs(binary, server.options.scratch)
        self.url = victoria.url
        self.processes = [Process(server, victoria.process)]
        target, headers = encoders.NDJSON.beside, encoders.NDJSON.headers
        super().__init__(Store(victoria, os.path.join(server.options.scratch, "victoria-logs")), {
            "one": requests.write("victoria-one", 1, headers, target), "many": requests.write("victoria-many", 1000, headers, target)})

    def version(self):
        found = re.search(r"v\d+\.\d+\.\d+", run([self.binary, "-version"], 20))
        return "VictoriaLogs" + (" " + found[0] if found else "")
