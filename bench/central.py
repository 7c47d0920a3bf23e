"""Section H of bench/ingest: forwarding to another WindTrap.

It is a second cluster beside that of bench/ingest, with the same settings.
"""
import argparse
import os

from measure import (BACKLOG, DISTURBED, Others, Server, calm, catch_up, cpu_seconds, free_port, median,
                     print_table, progress, read_stat, run, spread, thousands, wait_until, write_bodies)


class Central(Server):
    """The second cluster, and the data directory that it lives in."""

    def __init__(self, server):
        o = server.options
        data = os.path.join(o.scratch, "central")
        options = argparse.Namespace(data=data, pg_port=free_port(), http_port=free_port())
        run(["initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"], 120)
        settings = [s for s in o.settings.split() if not s.startswith(("port=", "windtrap.port="))]
        settings += ["port=%d" % options.pg_port, "windtrap.port=%d" % options.http_port]
        run(["pg_ctl", "-D", data, "-l", os.path.join(o.scratch, "central.log"), "-w", "-o",
             " ".join("-c " + s for s in settings + ["unix_socket_directories=" + o.sockets]), "start"], 60)
        try:
            super().__init__(options)
            self.sql("CREATE EXTENSION windtrap")
            self.wait_until_it_listens()
        except BaseException:
            self.stop()
            raise

    def stop(self):
        run(["pg_ctl", "-D", self.options.data, "-m", "fast", "-w", "stop"], 60)

    def empty(self):
        """Nothing is there, and nobody listens."""
        self.sql("SELECT windtrap.stop()")
        self.clear("log", "windtrap.idempotency_key")

    def listen(self):
        self.sql("SELECT windtrap.start()")
        wait_until(self, "SELECT count(*) > 0 FROM windtrap.status WHERE kind = 'worker' AND state = 'listening'", 20)
        return lambda: self.count("log")


def forwarder_cpu(server):
    pid = server.sql("SELECT pid FROM windtrap.forwarding")
    return cpu_seconds(read_stat(pid)) if pid else 0


def section_h(server, rounds):
    bodies, size = write_bodies(server.options.scratch)
    server.sql("ALTER SYSTEM SET windtrap.outbox_max_size = 0", "SELECT pg_reload_conf()")
    central = Central(server)
    url = "http://127.0.0.1:%d/log" % central.options.http_port
    others = Others(server)
    found = []
    try:
        server.servers.append(central)
        for n in range(rounds):
            central.empty()
            before = {}

            def listen(_):
                count = central.listen()
                before.update(sender=forwarder_cpu(server), central=central.worker_cpu())
                return count

            r = catch_up(server, bodies, listen, others, url)
            r["sender"] = (forwarder_cpu(server) - before["sender"]) * 1e6 / r["events"]
            r["central"] = (central.worker_cpu() - before["central"]) * 1e6 / r["events"]
            r["others"] = others.seen[-1]
            found.append(r)
            progress("round %d: %s/s, others %.0f %%" % (n + 1, thousands(r["rate"]), r["others"]))
    finally:
        server.servers.clear()
        central.stop()
    kept = "%d/%d" % (sum(r["others"] <= DISTURBED for r in found), len(found))
    found = calm(found)
    print_table("H. Catching up over HTTP: a backlog of %s varied events, %.0f bytes each as they were sent"
                % (thousands(BACKLOG), size),
                ["CPU: microseconds of the forwarder, and of the other WindTrap's worker, an event;",
                 "medians of %d rounds" % rounds, str(others)],
                ["events/s", "min..max", "CPU here", "CPU there", "calm"],
                [[thousands(median(found, "rate")), spread(found), "%.1f" % median(found, "sender"),
                  "%.1f" % median(found, "central"), kept]])
