"""Debian's rsyslog, unpacked: it takes syslog by TCP and gives it on, into a table (ompgsql) or to windtrap (omelasticsearch).

Debian builds it without omhttp; omelasticsearch is its way out by HTTP. It acknowledges nothing, and what it has is in its
memory until it is stored.
"""
import glob
import os
import re

from measure import BENCH, free_port, run
from peers import syslog, windtrap
from peers.peer import NONE, Peer, Table, backends, launch, make_role

# Documents like windtrap's of the same messages.
INTO_TABLE = r'''
module(load="ompgsql")
template(name="row" type="list" option.stdsql="on") {
	constant(value="INSERT INTO log_rsyslog VALUES ('")
	property(name="timereported" dateFormat="rfc3339")
	constant(value="', '{\"time\":\"")
	property(name="timegenerated" dateFormat="rfc3339")
	constant(value="\",\"ip\":\"")
	property(name="fromhost-ip")
	constant(value="\",\"protocol\":\"syslog\",\"json\":{\"severity\":\"")
	property(name="syslogseverity-text")
	constant(value="\",\"facility\":\"")
	property(name="syslogfacility-text")
	constant(value="\",\"timestamp\":\"")
	property(name="timereported" dateFormat="rfc3339")
	constant(value="\",\"host\":\"")
	property(name="hostname" format="json")
	constant(value="\",\"app\":\"")
	property(name="app-name" format="json")
	constant(value="\",\"message\":\"")
	property(name="msg" format="json")
	constant(value="\"}}', 0)")
}
action(type="ompgsql" server="127.0.0.1" port="%(pg_port)d" user="%(role)s" pass="" db="postgres" template="row"
	queue.type="linkedList" queue.size="10000" queue.workerThreads="5" queue.workerThreadMinimumMessages="500"
	queue.timeoutWorkerthreadShutdown="1000" queue.timeoutEnqueue="10000" action.resumeRetryCount="-1")
'''


def find():
    """The directory that it is unpacked in; None: it is not there."""
    root = os.environ.get("WT_RSYSLOG", "")
    return root if os.access(os.path.join(root, "usr/sbin/rsyslogd"), os.X_OK) else None


class Rsyslog(Peer):
    ack = NONE

    def __init__(self, server, requests, root, table, configuration):
        self.root = root
        super().__init__(Table(server, table), {"syslog": requests.frames()})
        port, home = free_port(), os.path.join(server.options.scratch, self.key)
        os.mkdir(home)
        path = os.path.join(home, "rsyslog.conf")
        with open(path, "w") as f:
            f.write('global(workDirectory="%s")\nmodule(load="imtcp")\ninput(type="imtcp" address="127.0.0.1" port="%d")\n%s' % (
                home, port, configuration))
        self.environment = dict(os.environ, LD_LIBRARY_PATH=":".join(
            glob.glob(root + "/usr/lib/*-linux-gnu") + glob.glob(root + "/lib/*-linux-gnu")))
        command = [root + "/usr/sbin/rsyslogd", "-n", "-C", "-f", path, "-i", os.path.join(home, "pid"),
                   "-M", glob.glob(root + "/usr/lib/*/rsyslog")[0]]
        self.processes = [launch(server, self.key, command, port, env=self.environment)]
        try:
            self.sender = syslog.Sender(server, port, self.store, self.takes["syslog"])
        except BaseException:
            self.stop()
            raise

    def load(self, kind, seconds):
        return self.sender.load(kind, seconds)

    def version(self):
        said = run([self.root + "/usr/sbin/rsyslogd", "-v"], 20, env=self.environment)
        return "rsyslog " + re.search(r"rsyslogd +([\d.]+)", said)[1]


class RsyslogTable(Rsyslog):
    key, name = "rsyslog", "rsyslog, ompgsql"

    def __init__(self, server, requests, root):
        self.server, self.role = server, make_role(server, "rsyslog")
        super().__init__(server, requests, root, "log_rsyslog", INTO_TABLE % {"pg_port": server.options.pg_port, "role": self.role})

    def pids(self):
        return super().pids() + backends(self.server, self.role)


class RsyslogWindtrap(Rsyslog):
    """With the configuration of examples/."""
    key, name = "rsyslog-windtrap", "rsyslog to windtrap"

    def __init__(self, server, requests, root):
        self.own = windtrap.pids(server)
        with open(os.path.join(BENCH, "../examples/clients/elastic/rsyslog.conf")) as f:
            configuration, n = re.subn(r'serverport="\d+"', 'serverport="%d"' % server.options.http_port, f.read())
        assert n == 1
        super().__init__(server, requests, root, "log", configuration)

    def pids(self):
        return super().pids() + self.own
