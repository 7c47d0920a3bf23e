# WindTrap: an event collector that lives inside PostgreSQL (PGXS build).
#
#   make                  builds windtrap.so
#   make install          installs it into the PostgreSQL of PG_CONFIG
#   make installcheck     pg_regress and TAP tests (see docs/testing.md)
#   make format           clang-format over the C sources

MODULE_big = windtrap
EXTENSION = windtrap
DATA = windtrap--1.0.sql
PGFILEDESC = "windtrap - an event collector inside PostgreSQL"

OBJS = \
	$(WIN32RES) \
	windtrap.o \
	src/addresses.o \
	src/answer.o \
	src/arrivals.o \
	src/auth.o \
	src/batch.o \
	src/cidr.o \
	src/client.o \
	src/connection.o \
	src/control.o \
	src/counters.o \
	src/decode.o \
	src/enrich.o \
	src/exchange.o \
	src/form.o \
	src/forward.o \
	src/forward_status.o \
	src/forward_worker.o \
	src/framing.o \
	src/identity.o \
	src/inflate.o \
	src/insert.o \
	src/json.o \
	src/jsonb_writer.o \
	src/launcher.o \
	src/lingering.o \
	src/list.o \
	src/line.o \
	src/listener.o \
	src/log_table.o \
	src/metrics.o \
	src/move_rows.o \
	src/outbox.o \
	src/proxy_protocol.o \
	src/quarantine.o \
	src/refused.o \
	src/refused_view.o \
	src/response.o \
	src/route.o \
	src/settings.o \
	src/shared.o \
	src/sink.o \
	src/sockets.o \
	src/sql.o \
	src/stats.o \
	src/stdout.o \
	src/store.o \
	src/text.o \
	src/tls.o \
	src/tokens.o \
	src/transact.o \
	src/upkeep.o \
	src/upkeep_worker.o \
	src/uuid.o \
	src/worker.o

REGRESS = extension settings log_table privileges tokens upkeep
ISOLATION = create_log_table
TAP_TESTS = 1

EXTRA_CLEAN = $(OBJS:.o=.d)

PG_CONFIG ?= pg_config
LIBRARIES = libmicrohttpd gnutls zlib libzstd
PG_CPPFLAGS = -I$(srcdir)/src $(shell pkg-config --cflags $(LIBRARIES))
# The warnings that PostgreSQL itself builds with come from PGXS; these are ours.
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wshadow=compatible-local -Wstrict-prototypes \
	-Wwrite-strings -Werror -MMD -MP
SHLIB_LINK = $(shell pkg-config --libs $(LIBRARIES))

# Bitcode is for functions that queries inline; there are none here.
override with_llvm := no

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# A changed header rebuilds what includes it.
-include $(OBJS:.o=.d)

# A changed Makefile rebuilds everything: flags live here.
$(OBJS): Makefile

.PHONY: format
format:
	clang-format -i windtrap.c src/*.c src/*.h
