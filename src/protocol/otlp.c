/*
 * otlp.c
 *		OpenTelemetry's logs over HTTP: POST …/v1/logs, protobuf or JSON.
 *
 * A record is an event; the resource and the scope that it comes from surround it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "protocol/otlp.h"
#include "protocol/protocols.h"

#define METHODS "POST, OPTIONS"
#define PROTOBUF "application/x-protobuf"

static bool
find(const WtRequest *request, WtMatch *match)
{
	if (wt_path_ends(request->path, "/v1/logs"))
	{
		match->allow = METHODS;
		match->route = strcmp(request->method, "POST") == 0		 ? WT_ROUTE_EVENTS
					   : strcmp(request->method, "OPTIONS") == 0 ? WT_ROUTE_OPTIONS
																 : WT_ROUTE_BAD_METHOD;
		return true;
	}
	if (wt_path_ends(request->path, "/v1/traces"))
		match->sentence =
			"only logs are stored here, no traces: set "
			"OTEL_TRACES_EXPORTER=none, or OTEL_EXPORTER_OTLP_LOGS_ENDPOINT "
			"alone instead of OTEL_EXPORTER_OTLP_ENDPOINT";
	else if (wt_path_ends(request->path, "/v1/metrics"))
		match->sentence = "only logs are stored here, no metrics: set "
						  "OTEL_METRICS_EXPORTER=none, or "
						  "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT alone instead of "
						  "OTEL_EXPORTER_OTLP_ENDPOINT";
	else if (wt_path_ends(request->path, "/v1development/profiles"))
		match->sentence = "only logs are stored here, no profiles: do not export them "
						  "to this endpoint";
	else
		return false;
	match->route = WT_ROUTE_NOT_FOUND;
	return true;
}

/* The encoding of an answer is the request's; who does not say one can read JSON. */
static bool
wants_protobuf(const WtRequest *request)
{
	return wt_otlp_type_names(request, "protobuf");
}

/* Adds a field of protobuf's. */
static void
add_varint(WtBuffer *buffer, uint64_t value)
{
	do
	{
		unsigned char c = (unsigned char) ((value & 0x7F) | (value > 0x7F ? 0x80 : 0));

		wt_buffer_add(buffer, &c, 1);
		value >>= 7;
	} while (value > 0);
}

static void
add_number(WtBuffer *buffer, uint32_t number, uint64_t value)
{
	add_varint(buffer, (uint64_t) number << 3);
	add_varint(buffer, value);
}

static void
add_bytes(WtBuffer *buffer, uint32_t number, const char *bytes, size_t length)
{
	add_varint(buffer, (uint64_t) number << 3 | 2);
	add_varint(buffer, length);
	wt_buffer_add(buffer, bytes, length);
}

/* gRPC's code for HTTP's. */
static int
code_of(int status)
{
	switch (status)
	{
		case 400:
		case 411:
		case 415:
		case 422:
			return 3; /* INVALID_ARGUMENT */
		case 401:
			return 16; /* UNAUTHENTICATED */
		case 403:
			return 7; /* PERMISSION_DENIED */
		case 404:
			return 5; /* NOT_FOUND */
		case 405:
			return 12; /* UNIMPLEMENTED */
		case 408:
			return 4; /* DEADLINE_EXCEEDED */
		case 413:
		case 429:
		case 431:
			return 8; /* RESOURCE_EXHAUSTED */
		case 503:
			return 14; /* UNAVAILABLE */
		default:
			return 2; /* UNKNOWN */
	}
}

/* A google.rpc.Status. */
static void
refuse(const WtRequest *request, WtReason reason, const char *sentence, WtWords *words)
{
	int code = code_of(words->status);

	(void) reason;
	if (wants_protobuf(request))
	{
		words->type = PROTOBUF;
		add_number(&words->body, 1, (uint64_t) code);
		add_bytes(&words->body, 2, sentence, strlen(sentence));
		return;
	}
	wt_buffer_print(&words->body, "{\"code\":%d,\"message\":", code);
	wt_buffer_json(&words->body, sentence, strlen(sentence));
	wt_buffer_text(&words->body, "}");
}

/* An ExportLogsServiceResponse, which says something only where records are nowhere. */
static void
answer(const WtOutcome *outcome, WtWords *words)
{
	const char *error = outcome->first_error ? outcome->first_error : "";
	WtBuffer partial = {0};

	if (!wants_protobuf(outcome->request))
	{
		wt_buffer_text(&words->body, "{");
		if (outcome->n_refused > 0)
		{
			wt_buffer_print(&words->body,
							"\"partialSuccess\":{\"rejectedLogRecords\":\"%" PRId64
							"\",\"errorMessage\":",
							outcome->n_refused);
			wt_buffer_json(&words->body, error, strlen(error));
			wt_buffer_text(&words->body, "}");
		}
		wt_buffer_text(&words->body, "}");
		return;
	}
	words->type = PROTOBUF;
	if (outcome->n_refused == 0)
		return;
	add_number(&partial, 1, (uint64_t) outcome->n_refused);
	add_bytes(&partial, 2, error, strlen(error));
	add_bytes(&words->body, 1, partial.data ? partial.data : "", partial.length);
	words->body.failed |= partial.failed;
	wt_buffer_free(&partial);
}

const WtProtocol wt_otlp = {
	.endpoint = {.name = "otlp", .find = find, .refuse = refuse},
	.next = wt_otlp_next,
	.answer = answer,
};
