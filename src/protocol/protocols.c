/*
 * protocols.c
 *		Which protocols there are, and what their files share.
 */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "event/decode.h"
#include "event/own_time.h"
#include "protocol/protocols.h"

/* The last takes paths of any index, and the root. */
/* clang-format off */
const WtEndpoint *const wt_protocols[] = {
	&wt_forwarded.endpoint,
	&wt_otlp.endpoint,
	&wt_loki.endpoint,
	&wt_hec.endpoint,
	&wt_datadog.endpoint,
	&wt_gelf.endpoint,
	&wt_journald.endpoint,
	&wt_cloudevents.endpoint,
	&wt_elastic.endpoint,
};
/* clang-format on */

const int wt_n_protocols = (int) (sizeof(wt_protocols) / sizeof(wt_protocols[0]));

void
wt_words_error(WtWords *words, const char *sentence)
{
	wt_buffer_text(&words->body, "{\"error\":");
	wt_buffer_json(&words->body, sentence, strlen(sentence));
	wt_buffer_text(&words->body, "}\n");
}

void
wt_words_accepted(const WtOutcome *outcome, WtWords *words)
{
	int64_t n_rejected = outcome->n_quarantined + outcome->n_refused;

	if (outcome->n_stored == 0 && outcome->n_quarantined == 0 && outcome->n_refused > 0)
	{
		words->status = 422;
		wt_words_error(words, outcome->first_error);
		return;
	}
	wt_buffer_print(&words->body, "{\"accepted\":%" PRId64, outcome->n_stored);
	if (outcome->n_duplicates > 0)
		wt_buffer_print(&words->body, ",\"duplicate\":%" PRId64, outcome->n_duplicates);
	if (n_rejected > 0)
	{
		wt_buffer_print(&words->body, ",\"rejected\":%" PRId64 ",\"error\":", n_rejected);
		wt_buffer_json(&words->body, outcome->first_error, strlen(outcome->first_error));
	}
	wt_buffer_text(&words->body, "}\n");
}

void
wt_words_text(WtWords *words, const char *sentence)
{
	words->type = "text/plain; charset=utf-8";
	wt_buffer_text(&words->body, sentence);
	wt_buffer_text(&words->body, "\n");
}

void
wt_refuse_as_json(const WtRequest *request, WtReason reason, const char *sentence,
				  WtWords *words)
{
	(void) request;
	(void) reason;
	wt_words_error(words, sentence);
}

void
wt_refuse_as_text(const WtRequest *request, WtReason reason, const char *sentence,
				  WtWords *words)
{
	(void) request;
	(void) reason;
	wt_words_text(words, sentence);
}

void
wt_probe_silently(const WtRequest *request, const char *trouble, WtWords *words)
{
	(void) request;
	if (trouble)
		words->status = 503;
}

void
wt_match_events(const WtRequest *request, WtMatch *match)
{
	const char *method = request->method;

	match->allow = "POST, HEAD, OPTIONS";
	match->route = strcmp(method, "POST") == 0		? WT_ROUTE_EVENTS
				   : strcmp(method, "HEAD") == 0	? WT_ROUTE_PROBE
				   : strcmp(method, "OPTIONS") == 0 ? WT_ROUTE_OPTIONS
													: WT_ROUTE_BAD_METHOD;
}

void
wt_match_read(const WtRequest *request, WtMatch *match, WtRoute route)
{
	const char *method = request->method;

	match->allow = "GET, HEAD, OPTIONS";
	match->route = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ? route
				   : strcmp(method, "OPTIONS") == 0 ? WT_ROUTE_OPTIONS
													: WT_ROUTE_BAD_METHOD;
}

WtDecodeResult
wt_next_json_with_timestamp(WtDecoder *decoder, WtJson *json)
{
	WtDecodeResult result = wt_decode_json(decoder, json);
	uint32_t time;

	if (result == WT_DECODE_EVENT && wt_json_find(json, 0, "timestamp", &time))
		wt_decode_time(decoder, &json->tokens[time]);
	return result;
}

bool
wt_path_is(const char *path, const char *exact)
{
	size_t n = strlen(exact);

	return strncmp(path, exact, n) == 0 &&
		   (path[n] == '\0' || (path[n] == '/' && path[n + 1] == '\0'));
}

bool
wt_path_ends(const char *path, const char *end)
{
	size_t n = strlen(path);
	size_t m = strlen(end);

	if (n > 0 && path[n - 1] == '/')
		n--;
	return n >= m && strncmp(path + n - m, end, m) == 0;
}

bool
wt_query_value(const WtRequest *request, const char *name, char *value, size_t size)
{
	size_t n = strlen(name);
	size_t k = 0;
	const char *p;

	for (p = request->query; p; p = strchr(p, '&') ? strchr(p, '&') + 1 : NULL)
		if (strncmp(p, name, n) == 0 && p[n] == '=')
			break;
	if (!p)
		return false;
	for (p += n + 1; *p != '\0' && *p != '&'; p++)
	{
		int byte = wt_percent_byte(p, 3);

		if (k + 1 >= size)
			return false;
		value[k++] = byte >= 0 ? (char) byte : *p == '+' ? ' ' : *p;
		if (byte >= 0)
			p += 2;
	}
	value[k] = '\0';
	return true;
}
