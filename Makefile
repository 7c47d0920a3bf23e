# WindTrap: an event collector that lives inside PostgreSQL (PGXS build).
#
#   make                  builds windtrap.so
#   make install          installs it into the PostgreSQL of PG_CONFIG
#   make installcheck     pg_regress and TAP tests (see docs/testing.md)
#   make format           clang-format over the C sources

MODULE_big = windtrap
EXTENSION = windtrap
DATA_built = windtrap--1.0.sql
PGFILEDESC = "windtrap - an event collector inside PostgreSQL"

OBJS = \
	$(WIN32RES) \
	windtrap.o \
	src/alerts/alert_functions.o \
	src/alerts/alerts_worker.o \
	src/alerts/count.o \
	src/alerts/decide.o \
	src/alerts/delivery.o \
	src/alerts/notice.o \
	src/alerts/rule.o \
	src/alerts/webhooks_worker.o \
	src/base/buffer.o \
	src/base/cidr.o \
	src/base/collector.o \
	src/base/counters.o \
	src/base/file.o \
	src/base/give_way.o \
	src/base/helper.o \
	src/base/identity.o \
	src/base/list.o \
	src/base/listen_list.o \
	src/base/local_time.o \
	src/base/origins.o \
	src/base/process.o \
	src/base/segment.o \
	src/base/settings.o \
	src/base/settings_checks.o \
	src/base/settings_files.o \
	src/base/shared.o \
	src/base/sql.o \
	src/base/text.o \
	src/base/transact.o \
	src/base/url.o \
	src/base/uuid.o \
	src/client/post.o \
	src/client/token.o \
	src/client/trouble.o \
	src/column/arena.o \
	src/column/bytes.o \
	src/column/chunk_reader.o \
	src/column/chunk_writer.o \
	src/column/column_decode.o \
	src/column/column_values.o \
	src/column/crc.o \
	src/column/distinct.o \
	src/column/encode.o \
	src/column/forms.o \
	src/column/integers.o \
	src/column/overlay.o \
	src/column/stream.o \
	src/column/templates.o \
	src/daemons/batches.o \
	src/daemons/chunks.o \
	src/daemons/daemons.o \
	src/daemons/datagrams.o \
	src/daemons/framing.o \
	src/daemons/places.o \
	src/daemons/relp.o \
	src/daemons/streams.o \
	src/event/charset.o \
	src/event/decode.o \
	src/event/decoder.o \
	src/event/enrich.o \
	src/event/form.o \
	src/event/inflate.o \
	src/event/json.o \
	src/event/json_build.o \
	src/event/json_tokens.o \
	src/event/json_walk.o \
	src/event/jsonb_writer.o \
	src/event/multipart.o \
	src/event/own_time.o \
	src/event/protobuf.o \
	src/event/snappy.o \
	src/event/when.o \
	src/forward/forward.o \
	src/forward/forward_status.o \
	src/forward/forward_worker.o \
	src/forward/http_body.o \
	src/forward/http_target.o \
	src/forward/http_verdict.o \
	src/forward/load.o \
	src/forward/step.o \
	src/forward/table_statement.o \
	src/forward/table_target.o \
	src/http/accept_encoding.o \
	src/http/addresses.o \
	src/http/admission.o \
	src/http/answer.o \
	src/http/answer_stream.o \
	src/http/arrivals.o \
	src/http/auth.o \
	src/http/client.o \
	src/http/connection.o \
	src/http/exchange.o \
	src/http/framing.o \
	src/http/head.o \
	src/http/holding.o \
	src/http/lingering.o \
	src/http/listener.o \
	src/http/page_files.o \
	src/http/page_files_embedded.o \
	src/http/proxy_protocol.o \
	src/http/refused.o \
	src/http/request_pool.o \
	src/http/response.o \
	src/http/router.o \
	src/http/sockets.o \
	src/http/streaming.o \
	src/http/tls.o \
	src/http/unanswered.o \
	src/http/waiting.o \
	src/output/line.o \
	src/output/sink.o \
	src/output/stdout.o \
	src/output/target.o \
	src/protocol/cloudevents.o \
	src/protocol/datadog.o \
	src/protocol/elastic.o \
	src/protocol/elastic_bulk.o \
	src/protocol/elastic_probes.o \
	src/protocol/forwarded.o \
	src/protocol/gelf.o \
	src/protocol/hec.o \
	src/protocol/journald.o \
	src/protocol/loki.o \
	src/protocol/loki_json.o \
	src/protocol/loki_labels.o \
	src/protocol/loki_protobuf.o \
	src/protocol/otlp.o \
	src/protocol/otlp_decode.o \
	src/protocol/otlp_json.o \
	src/protocol/otlp_protobuf.o \
	src/protocol/protocols.o \
	src/protocol/syslog.o \
	src/protocol/syslog_time.o \
	src/search/cursor.o \
	src/search/event_text.o \
	src/search/histogram.o \
	src/search/in_flight.o \
	src/search/nodes.o \
	src/search/position.o \
	src/search/query.o \
	src/search/rows.o \
	src/search/search.o \
	src/search/search_sql.o \
	src/search/slices.o \
	src/search/tail.o \
	src/search/top.o \
	src/ring/emit.o \
	src/ring/postmaster_log.o \
	src/ring/ring.o \
	src/ring/server_log.o \
	src/sealed/aggregate_plan.o \
	src/sealed/aggregate_scan.o \
	src/sealed/altered.o \
	src/sealed/analyze.o \
	src/sealed/changes.o \
	src/sealed/chunk_scan.o \
	src/sealed/chunk_store.o \
	src/sealed/chunk_table.o \
	src/sealed/chunk_use.o \
	src/sealed/combinations.o \
	src/sealed/decimal.o \
	src/sealed/distinct_rows.o \
	src/sealed/documents.o \
	src/sealed/estimate.o \
	src/sealed/explain.o \
	src/sealed/filters.o \
	src/sealed/generated.o \
	src/sealed/gone.o \
	src/sealed/groups.o \
	src/sealed/jsonpath_needs.o \
	src/sealed/late.o \
	src/sealed/late_columns.o \
	src/sealed/late_store.o \
	src/sealed/likeness.o \
	src/sealed/links.o \
	src/sealed/members.o \
	src/sealed/merge.o \
	src/sealed/missing.o \
	src/sealed/modify.o \
	src/sealed/needs.o \
	src/sealed/numbering.o \
	src/sealed/origin.o \
	src/sealed/overlay_store.o \
	src/sealed/own_indexes.o \
	src/sealed/packer.o \
	src/sealed/partitionwise.o \
	src/sealed/pattern.o \
	src/sealed/pending.o \
	src/sealed/plan.o \
	src/sealed/progress.o \
	src/sealed/projection.o \
	src/sealed/rewrite.o \
	src/sealed/row_hash.o \
	src/sealed/row_locks.o \
	src/sealed/row_order.o \
	src/sealed/row_origin.o \
	src/sealed/row_store.o \
	src/sealed/scan.o \
	src/sealed/seal.o \
	src/sealed/sealable.o \
	src/sealed/shred.o \
	src/sealed/size.o \
	src/sealed/stored_columns.o \
	src/sealed/stored_types.o \
	src/sealed/stored_union.o \
	src/sealed/swap.o \
	src/sealed/target.o \
	src/sealed/test.o \
	src/sealed/unseal.o \
	src/sealed/user_functions.o \
	src/sealed/verdict.o \
	src/sealed/verify.o \
	src/sealed/wrapper.o \
	src/serving/condition.o \
	src/serving/listening.o \
	src/serving/serving.o \
	src/serving/tokens.o \
	src/store/absence.o \
	src/store/distributed.o \
	src/store/fault.o \
	src/store/halves.o \
	src/store/idempotency.o \
	src/store/insert.o \
	src/store/log_table.o \
	src/store/move_rows.o \
	src/store/outbox.o \
	src/store/quarantine.o \
	src/store/lock_gently.o \
	src/store/restoring.o \
	src/store/scope.o \
	src/store/shards.o \
	src/store/statement.o \
	src/store/store.o \
	src/upkeep/adopt.o \
	src/upkeep/clock.o \
	src/upkeep/distributed_table.o \
	src/upkeep/failures.o \
	src/upkeep/log_rows.o \
	src/upkeep/partition.o \
	src/upkeep/plan.o \
	src/upkeep/plan_sealed.o \
	src/upkeep/spans.o \
	src/upkeep/summarize.o \
	src/upkeep/upkeep.o \
	src/upkeep/upkeep_worker.o \
	src/viewer/calls.o \
	src/viewer/counts_call.o \
	src/viewer/database.o \
	src/viewer/event_json.o \
	src/viewer/export.o \
	src/viewer/fields_call.o \
	src/viewer/job.o \
	src/viewer/overview.o \
	src/viewer/rows_json.o \
	src/viewer/search_call.o \
	src/viewer/session.o \
	src/viewer/sliced.o \
	src/viewer/spill.o \
	src/viewer/sql_call.o \
	src/viewer/status_call.o \
	src/viewer/tail_call.o \
	src/viewer/times.o \
	src/viewer/viewer_worker.o \
	src/views/fields.o \
	src/views/log_rows_plan.o \
	src/views/metrics.o \
	src/views/refused_view.o \
	src/views/severity.o \
	src/views/stats.o \
	src/views/status.o \
	src/worker/batch.o \
	src/worker/control.o \
	src/worker/intake.o \
	src/worker/job.o \
	src/worker/job_answer.o \
	src/worker/job_body.o \
	src/worker/job_events.o \
	src/worker/launcher.o \
	src/worker/ring_batch.o \
	src/worker/ring_event.o \
	src/worker/worker.o

REGRESS = extension settings log_table privileges tokens events search alerts upkeep sealed sealed_read
ISOLATION = create_log_table sealed_write
TAP_TESTS = 1

EXTRA_CLEAN = $(OBJS:.o=.d) src/http/page_files_embedded.c

PG_CONFIG ?= pg_config
LIBRARIES = libmicrohttpd gnutls zlib libzstd libcurl
# PostgreSQL's headers are a system's: the planner's do not stand up to our warnings.
PG_CPPFLAGS = -I$(srcdir)/src -isystem $(shell $(PG_CONFIG) --includedir-server) $(shell pkg-config --cflags $(LIBRARIES))
# The warnings that PostgreSQL itself builds with come from PGXS; these are ours.
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wshadow=compatible-local -Wstrict-prototypes \
	-Wwrite-strings -Werror -MMD -MP
SHLIB_LINK = $(shell pkg-config --libs $(LIBRARIES))

# Bitcode is for functions that queries inline; there are none here.  Those who want it, and
# have the clang that PostgreSQL was built with: make with_llvm=yes
ifneq ($(origin with_llvm), command line)
override with_llvm := no
endif

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Where the sources are elsewhere (VPATH), nothing else makes the objects' directories.
$(shell mkdir -p $(sort $(dir $(OBJS))))

# A changed header rebuilds what includes it.
-include $(OBJS:.o=.d)

# Loops over all values of a column: worth being vectorized.
$(filter src/column/%.o,$(OBJS)): CFLAGS += -O3

# A changed Makefile rebuilds everything: flags live here.
$(OBJS) windtrap--1.0.sql: Makefile

# Loops over all rows of a chunk: worth being vectorized.
src/sealed/chunk_scan.o src/sealed/filters.o src/sealed/pattern.o src/sealed/projection.o src/sealed/test.o src/sealed/verdict.o: CFLAGS += -O3

# The extension's script, of pieces by subject in this order.
SQL_PIECES = schema processes log_table events emit search upkeep alerts stats refused tokens quarantine idempotency sealed_read sealed \
	forwarding grant_read installed
windtrap--1.0.sql: $(SQL_PIECES:%=$(srcdir)/sql-src/%.sql)
	cat $(SQL_PIECES:%=$(srcdir)/sql-src/%.sql) >$@

# The viewer's page is part of the library.
VIEWER_FILES = $(sort $(wildcard $(srcdir)/viewer/*.*))
src/http/page_files_embedded.c: $(VIEWER_FILES) $(srcdir)/viewer $(srcdir)/script/embed Makefile
	$(srcdir)/script/embed $(VIEWER_FILES) >$@

.PHONY: format
format:
	clang-format -i windtrap.c src/*/*.[ch] mongo/*.[ch] fuzz/*.[ch] t/*.c faults/*.c
