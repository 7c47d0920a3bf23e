"""Section D of bench/ingest: syslog by TCP, RELP and UDP beside bodies of the same events by HTTP."""
import json
import os
import socket
import threading
import time

from measure import (Failed, Others, free_port, load_bodies, median, print_table, progress,
                     ratio, spread, thousands, undisturbed, write_requests)

CONNECTIONS = 4
IN_BLOCK = 1000
RATES = (10000, 25000, 50000, 100000, 200000)
PACE = 0.002  # between two bursts of datagrams, s


def messages(n):
    """The same n messages for syslog and as JSON."""
    lines, events = [], []
    for i in range(n):
        host, took = "app-%04d" % (i % 40), 10 + i * 7919 % 900
        text = "request %08x of customer %d completed in %d ms" % (i * 2654435761 % 2**32, i % 5000, took)
        stamp = "2026-11-26T10:%02d:%02d.%06dZ" % (i // 60 % 60, i % 60, i % 1000000)
        lines.append(('<134>1 %s %s shop 77 ID47 [req@32473 path="/order/%d" took="%d"] %s'
                      % (stamp, host, i % 700, took, text)).encode())
        events.append(json.dumps({
            "severity": "info", "facility": "local0", "timestamp": stamp, "host": host, "app": "shop", "procid": "77",
            "msgid": "ID47", "structured_data": {"req@32473": {"path": "/order/%d" % (i % 700), "took": str(took)}},
            "message": text}, separators=(",", ":")).encode())
    return lines, events


def counted(server, intake):
    row = server.sql("SELECT coalesce(sum(received), 0), coalesce(sum(stored), 0), coalesce(sum(dropped), 0) "
                     "FROM windtrap.intakes WHERE intake = '%s'" % intake)
    return [int(x) for x in row.split("|")]


def send_tcp(port, block, until):
    sent = 0
    with socket.create_connection(("127.0.0.1", port)) as s:
        while time.monotonic() < until:
            s.sendall(block)
            sent += IN_BLOCK
    return sent


def send_relp(port, block, until):
    """Two blocks are on their way at a time; each frame is answered."""
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"1 open 14 relp_version=0\n")
        answers = s.recv(65536)
        if b"200 OK" not in answers:
            raise Failed("RELP: %r" % answers)
        sent = acknowledged = 0
        tail = b""
        while True:
            while sent - acknowledged <= IN_BLOCK and time.monotonic() < until:
                s.sendall(block)
                sent += IN_BLOCK
            if acknowledged == sent:
                return sent
            got = tail + s.recv(1 << 20)
            acknowledged += got.count(b" 200 OK\n")
            tail = got[got.rfind(b"\n") + 1:]


def load(server, intake, send, port, block, seconds, others):
    """A round: all that is sent must be stored."""
    server.clear("log")
    server.sql("SELECT windtrap.reset_stats()")
    cpu, lsn, sent = server.worker_cpu(), server.lsn(), []
    begun = time.monotonic()
    with others:
        threads = [threading.Thread(target=lambda: sent.append(send(port, block, begun + seconds)))
                   for _ in range(CONNECTIONS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        while counted(server, intake)[1] < sum(sent):
            if time.monotonic() > begun + seconds + 60:
                raise Failed("%s: %d were sent, and of these %s" % (intake, sum(sent), counted(server, intake)))
            time.sleep(0.02)
        took = time.monotonic() - begun
    cpu, lsn = server.worker_cpu() - cpu, server.lsn() - lsn
    if len(sent) != CONNECTIONS or server.count("log") != sum(sent):
        raise Failed("%s: %d were sent, %d are stored" % (intake, sum(sent), server.count("log")))
    return {"rate": sum(sent) / took, "cpu": cpu * 1e6 / sum(sent), "wal": lsn / sum(sent),
            "others": others.seen[-1]}


def send_udp(port, lines, rate, seconds):
    """So many datagrams a second, as far as this gets; gives how many they were, and how long it took."""
    sent, begun = 0, time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", port))
        while (now := time.monotonic()) < begun + seconds:
            while sent < (now - begun) * rate:
                s.send(lines[sent % len(lines)])
                sent += 1
                if sent % 64 == 0 and time.monotonic() > begun + seconds:
                    break
            time.sleep(PACE)
    return sent, time.monotonic() - begun


def load_udp(server, port, lines, rate, seconds):
    server.clear("log")
    server.sql("SELECT windtrap.reset_stats()")
    cpu = server.worker_cpu()
    sent, took = send_udp(port, lines, rate, seconds)
    deadline = time.monotonic() + 60
    while True:
        received, stored, dropped = counted(server, "syslog_udp")
        if received + dropped == sent and stored == received:
            break
        if time.monotonic() > deadline:
            raise Failed("UDP: of %d sent %d were received, %d dropped, %d stored" % (sent, received, dropped, stored))
        time.sleep(0.05)
    return {"rate": sent / took, "stored": stored, "lost": dropped / sent,
            "cpu": (server.worker_cpu() - cpu) * 1e6 / max(stored, 1)}


def section_d(server, rounds, seconds):
    tcp, relp, udp = free_port(), free_port(), free_port()
    server.sql("LOAD 'windtrap'", "ALTER SYSTEM SET windtrap.syslog_listen = "
               "'tcp://127.0.0.1:%d, relp://127.0.0.1:%d, udp://127.0.0.1:%d'" % (tcp, relp, udp),
               "SELECT pg_reload_conf()")
    deadline = time.monotonic() + 10
    while server.sql("SELECT count(*) FROM windtrap.intakes WHERE state = 'listening'") != "3":
        if time.monotonic() > deadline:
            raise Failed("windtrap does not listen: " + server.sql("SELECT * FROM windtrap.intakes"))
        time.sleep(0.1)
    lines, events = messages(20000)
    others = Others(server)
    path = os.path.join(server.options.scratch, "bodies")
    write_requests(path, [b"\n".join(events[i:i + IN_BLOCK]) for i in range(0, len(events), IN_BLOCK)],
                   {"Content-Type": "application/x-ndjson"})
    block = b"".join(line + b"\n" for line in lines[:IN_BLOCK])
    framed = b"".join(b"%d syslog %d %s\n" % (i + 2, len(line), line) for i, line in enumerate(lines[:IN_BLOCK]))
    rows = []
    for name, intake, send, port, sends in (("syslog, TCP", "syslog_tcp", send_tcp, tcp, block),
                                            ("RELP", "relp", send_relp, relp, framed)):
        ours, http = [], []
        for i in range(rounds):
            progress("%s, round %d" % (name, i + 1))
            ours.append(load(server, intake, send, port, sends, seconds, others))
            http.append(load_bodies(server, path, IN_BLOCK, CONNECTIONS, seconds, others))
        ours, http, counts = undisturbed(ours, http)
        rows.append((name, thousands(median(ours, "rate")), spread(ours), thousands(median(http, "rate")),
                     "%.2f" % ratio(ours, http), "%.1f" % median(ours, "cpu"), "%.1f" % median(http, "cpu"),
                     "%.0f" % median(ours, "wal"), counts))
    print_table("D. Syslog and RELP, beside bodies of the same events by HTTP",
                ["%d connections; %d bytes a message of RFC 5424, %d as JSON, in bodies of %d." % (
                    CONNECTIONS, len(block) // IN_BLOCK - 1, len(events[0]), IN_BLOCK), str(others)],
                ("", "stored/s", "min..max", "HTTP/s", "ratio", "CPU", "HTTP's CPU", "WAL", "rounds"), rows)
    rows = []
    for rate in RATES:
        progress("UDP, %d a second" % rate)
        r = load_udp(server, udp, lines, rate, seconds)
        rows.append((thousands(rate), thousands(r["rate"]), "%.2f %%" % (100 * r["lost"]), "%.1f" % r["cpu"]))
    with open("/proc/sys/net/core/rmem_max") as f:
        rmem = int(f.read())
    print_table("D. Syslog by UDP: what is lost, by how many come",
                ["For %d s each; the kernel's buffer: net.core.rmem_max = %d." % (seconds, rmem)],
                ("wanted/s", "sent/s", "lost", "CPU"), rows)
    server.sql("LOAD 'windtrap'", "ALTER SYSTEM RESET windtrap.syslog_listen", "SELECT pg_reload_conf()")
