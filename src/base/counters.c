/*
 * counters.c
 *		What a worker counts.
 */
#include <stddef.h>

#include "base/counters.h"

const char *const wt_reason_names[WT_N_REASONS] = {
	[WT_REASON_NONE] = "none",
	[WT_REASON_MALFORMED] = "malformed_request",
	[WT_REASON_HEAD_TOO_LARGE] = "head_too_large",
	[WT_REASON_NOT_FOUND] = "not_found",
	[WT_REASON_METHOD] = "method",
	[WT_REASON_CONNECTIONS] = "connections",
	[WT_REASON_CERTIFICATE] = "certificate",
	[WT_REASON_TIMEOUT] = "timeout",
	[WT_REASON_BODY_TOO_LARGE] = "body_too_large",
	[WT_REASON_OVERLOAD] = "overload",
	[WT_REASON_ENCODING] = "content_encoding",
	[WT_REASON_CORRUPT] = "corrupt_compression",
	[WT_REASON_EMPTY] = "empty",
	[WT_REASON_BAD_JSON] = "bad_json",
	[WT_REASON_UNFIT] = "unfit_json",
	[WT_REASON_NOT_TEXT] = "not_text",
	[WT_REASON_EVENT_TOO_LARGE] = "event_too_large",
	[WT_REASON_TABLE] = "table",
	[WT_REASON_UNAVAILABLE] = "unavailable",
	[WT_REASON_MEMORY] = "memory",
	[WT_REASON_TOKEN] = "token",
	[WT_REASON_SCOPE] = "scope",
	[WT_REASON_ORIGIN] = "origin",
	[WT_REASON_HOST] = "host",
	[WT_REASON_RATE] = "rate",
	[WT_REASON_KEY] = "idempotency_key",
	[WT_REASON_FORWARD] = "forwarding",
	[WT_REASON_ADDRESS] = "address",
};

const char *const wt_intake_names[WT_N_INTAKES] = {
	[WT_INTAKE_SYSLOG_UDP] = "syslog_udp", [WT_INTAKE_SYSLOG_TCP] = "syslog_tcp",
	[WT_INTAKE_SYSLOG_TLS] = "syslog_tls", [WT_INTAKE_RELP] = "relp",
	[WT_INTAKE_GELF_UDP] = "gelf_udp",	   [WT_INTAKE_GELF_TCP] = "gelf_tcp",
};

const int wt_codes[WT_N_CODES] = {200, 202, 204, 400, 401, 403, 404, 405, 408, 411,
								  413, 414, 415, 421, 422, 429, 431, 503, 0};

/* Microseconds: 100 µs to 30 s. */
const uint64_t wt_time_bounds[WT_MAX_BOUNDS + 1] = {
	100,   250,	   500,	   1000,	2500,	 5000,	   10000,	 25000,
	50000, 100000, 250000, 1000000, 3000000, 10000000, 30000000, 0};

const uint64_t wt_size_bounds[WT_MAX_BOUNDS + 1] = {
	1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2500, 5000, 10000, 0};

void
wt_count_request(WtCounters *counters, int code, WtReason reason)
{
	int i = 0;

	while (wt_codes[i] != 0 && wt_codes[i] != code)
		i++;
	counters->requests[i]++;
	if (reason != WT_REASON_NONE)
		counters->requests_refused[reason]++;
}

void
wt_histogram_add(WtHistogram *histogram, const uint64_t *bounds, uint64_t value)
{
	int i = 0;

	while (bounds[i] != 0 && value > bounds[i])
		i++;
	histogram->buckets[i]++;
	histogram->sum += value;
}
