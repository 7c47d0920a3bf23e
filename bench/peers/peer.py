"""What all peers of bench/run have: how they are started and ended, and where what they keep can be counted."""
import os
import socket
import subprocess
import time

from measure import Failed, children, tree_cpu, wrk_result

DURABLE = "durable"
MEMORY = "from memory"
NONE = "none"


class Table:
    """A log table of the cluster, of the same kind for all whose events end in PostgreSQL."""

    def __init__(self, server, name):
        self.server, self.name, self.empty = server, name, 0
        if name != "log":
            server.sql("DROP TABLE IF EXISTS %s" % name, "SELECT windtrap.create_log_table('%s')" % name)

    def clear(self):
        self.server.clear(self.name)
        self.empty = self.whole_size()

    def count(self):
        return self.server.count(self.name)

    def size(self):
        """Bytes of its rows, with what indexes and TOAST have of them."""
        return self.whole_size() - self.empty

    def whole_size(self):
        return int(self.server.sql("SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('%s')" % self.name))

    def wal(self):
        return self.server.lsn()

    def settle(self):
        self.server.sql("CHECKPOINT")

    def cpu(self):
        return self.server.cluster_cpu()


class Process:
    """A daemon that is measured, with all that it has started."""

    def __init__(self, server, process):
        self.server, self.process = server, process
        server.beside.append(process.pid)

    def pids(self):
        found, ahead = [], [self.process.pid]
        while ahead:
            pid = ahead.pop()
            found.append(pid)
            ahead += children(pid)
        return found

    def cpu(self):
        return tree_cpu(self.process.pid)

    def settle(self):
        """Until it has done what it had still to do, for five seconds at most."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            before = self.cpu()
            time.sleep(0.2)
            if self.cpu() - before < 0.03:
                return

    def stop(self):
        self.server.beside.remove(self.process.pid)
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def launch(server, name, command, port, **options):
    """A Process, as soon as it accepts connections."""
    said = os.path.join(server.options.scratch, name + ".log")
    with open(said, "wb") as log:
        process = Process(server, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, **options))
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return process
        except OSError:
            if process.process.poll() is not None or time.monotonic() > deadline:
                process.stop()
                with open(said, errors="replace") as log:
                    raise Failed("%s does not start: %s" % (name, log.read()[-2000:].strip())) from None
            time.sleep(0.05)


def make_role(server, name):
    """A role by which the sessions of one peer are told from others'."""
    server.sql("CREATE ROLE %s SUPERUSER LOGIN" % name)
    return name


def backends(server, role):
    """The processes of a role's sessions, by the titles that PostgreSQL gives them."""
    found = []
    for pid in children(server.postmaster):
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                if f.read().startswith(b"postgres: %s " % role.encode()):
                    found.append(pid)
        except OSError:
            pass  # it has just ended
    return found


def private_memory(pids):
    """Bytes of heaps and stacks; of what several have in common since they were one, each has its part."""
    total = 0
    for pid in pids:
        try:
            with open("/proc/%d/smaps_rollup" % pid) as f:
                total += sum(int(line.split()[1]) * 1024 for line in f if line.startswith("Pss_Anon:"))
        except OSError:
            pass  # it has just ended
    return total


class Peer:
    """Something that takes events and keeps them.

    `store` is where they are; `processes` those of it that are not the cluster's. Kinds of load that it takes are in
    `takes`, with what its load() needs for them.
    """
    key = name = ack = None
    processes = ()

    def __init__(self, store, takes):
        self.store, self.takes = store, takes

    def cpu(self):
        """CPU seconds so far, of all that has to do with it but who sends."""
        return self.store.cpu() + sum(p.cpu() for p in self.processes)

    def settle(self):
        """What is left to be done with the events that it has is done."""
        self.store.settle()
        for p in self.processes:
            p.settle()

    def pids(self):
        """Processes whose memory counts."""
        return [pid for p in self.processes for pid in p.pids()]

    def load(self, kind, seconds):
        """A round: `events` that were taken, `rate` of them a second, latencies of a request in us, or None."""
        raise NotImplementedError

    def version(self):
        return None

    def stop(self):
        for p in self.processes:
            p.stop()


class HttpPeer(Peer):
    """One that wrk sends to; `takes` are files of requests."""
    arguments = ()  # more of bodies.lua's

    def load(self, kind, seconds):
        r = wrk_result(self.url, "bodies.lua", kind.connections, seconds, self.takes[kind.load], *self.arguments)
        taken = r["requests"] - r["refused"]
        return {"events": taken * kind.events, "rate": taken * kind.events * 1e6 / r["us"], "p50": r["p50"], "p99": r["p99"],
                "refused": (r["refused"] + r["broken"]) * kind.events}
