"""windtrap itself, by HTTP and by syslog."""
from measure import NDJSON, free_port
from peers import syslog
from peers.peer import DURABLE, NONE, HttpPeer, Peer, Table


def pids(server):
    """All of windtrap's processes; they stay the same."""
    return [int(p) for p in server.sql("SELECT DISTINCT pid FROM windtrap.status WHERE pid IS NOT NULL").split()]


class Windtrap(HttpPeer):
    key, name, ack = "windtrap", "windtrap", DURABLE

    def __init__(self, server, requests):
        self.url, self.own = server.url, pids(server)
        super().__init__(Table(server, "log"), {
            "one": requests.write("one", 1, {"Content-Type": "application/json"}, "/log"),
            "many": requests.write("many", 1000, NDJSON, "/log")})

    def pids(self):
        return self.own


class WindtrapSyslog(Peer):
    key, name, ack = "windtrap", "windtrap", NONE

    def __init__(self, server, requests):
        self.port, self.own = free_port(), pids(server)
        super().__init__(Table(server, "log"), {"syslog": requests.frames()})
        server.sql("ALTER SYSTEM SET windtrap.syslog_listen = 'tcp://127.0.0.1:%d'" % self.port,
                   "ALTER SYSTEM SET windtrap.allowed_senders = '127.0.0.1'", "SELECT pg_reload_conf()")
        self.sender = syslog.Sender(server, self.port, self.store, self.takes["syslog"])

    def pids(self):
        return self.own

    def load(self, kind, seconds):
        return self.sender.load(kind, seconds)
