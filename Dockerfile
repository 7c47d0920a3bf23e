# A collector in a container: Debian's PostgreSQL with WindTrap's packages, built from this
# directory.  docs/containers.md says how it is used; script/package --check runs these steps.

FROM debian:12-slim AS build
RUN apt-get update && \
    apt-get install -y --no-install-recommends build-essential debhelper fakeroot postgresql-server-dev-all
WORKDIR /src/windtrap
COPY . .
RUN apt-get build-dep -y --no-install-recommends -P nocheck ./
RUN DEB_BUILD_PROFILES=nocheck DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" dpkg-buildpackage -b -us -uc

FROM debian:12-slim
# The cluster is made in the volume, by the script below.
RUN mkdir -p /etc/postgresql-common/createcluster.d && \
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/container.conf
COPY --from=build /src/postgresql-15-windtrap_*.deb /src/postgresql-15-windtrap-mongo_*.deb /packages/
RUN apt-get update && \
    apt-get install -y --no-install-recommends curl /packages/*.deb && \
    rm -rf /packages /var/lib/apt/lists/*
COPY examples/container/start /usr/local/bin/windtrap-start
USER postgres
VOLUME /var/lib/postgresql
EXPOSE 8000
# A fast shutdown; SIGTERM would wait for clients.
STOPSIGNAL SIGINT
HEALTHCHECK --interval=10s --start-period=60s CMD curl -sf http://localhost:8000/health
CMD ["windtrap-start"]
