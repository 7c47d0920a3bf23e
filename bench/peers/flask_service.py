"""The service of service.py, run by gunicorn as its documentation advises: two workers a core, and one."""
import os
import sys

from measure import free_port, run
from peers.peer import DURABLE, HttpPeer, Table, backends, launch, make_role


class FlaskService(HttpPeer):
    """With a connection to PostgreSQL a request or, kept, a worker of gunicorn's."""
    ack = DURABLE

    def __init__(self, server, requests, kept):
        self.key, self.name = ("flask-kept", "Flask, connections kept") if kept else ("flask", "Flask")
        self.server, self.role = server, make_role(server, "flask_kept" if kept else "flask")
        table, port = "log_flask_kept" if kept else "log_flask", free_port()
        super().__init__(Table(server, table), {"one": requests.write("one", 1, {"Content-Type": "application/json"}, "/log")})
        environment = dict(os.environ, SERVICE_TABLE=table,
                           SERVICE_DATABASE="host=127.0.0.1 port=%d user=%s dbname=postgres" % (server.options.pg_port, self.role),
                           SERVICE_KEEPS_CONNECTION="1" if kept else "")
        self.url = "http://127.0.0.1:%d/log" % port
        command = [sys.executable, "-m", "gunicorn", "--workers", str(2 * os.cpu_count() + 1), "--bind", "127.0.0.1:%d" % port,
                   "--log-level", "warning", "service:app"]
        self.processes = [launch(server, self.key, command, port, env=environment, cwd=os.path.dirname(os.path.abspath(__file__)))]

    def pids(self):
        return super().pids() + backends(self.server, self.role)

    def version(self):
        return run([sys.executable, "-c", "import flask, gunicorn, psycopg2; print('Flask %s, gunicorn %s, psycopg2 %s' % "
                    "(flask.__version__, gunicorn.__version__, psycopg2.__version__.split()[0]))"], 20).strip()
