/*
 * datadog.c
 *		Datadog's logs: POST /api/v2/logs and /v1/input[/KEY], an object or an array of them.
 *
 * An object is the event; its `timestamp`, ms since 1970, is when it happened, where it has
 * one.  GET /api/v1/validate says whether a key is good.
 */
#include <string.h>

#include "protocol/protocols.h"

static bool
find(const WtRequest *request, WtMatch *match)
{
	static const char input[] = "/v1/input/";
	const char *path = request->path;

	if (wt_path_is(path, "/api/v1/validate"))
	{
		wt_match_read(request, match, WT_ROUTE_CHECK);
		return true;
	}
	if (strncmp(path, input, sizeof(input) - 1) == 0 && path[sizeof(input) - 1] != '\0' &&
		!strchr(path + sizeof(input) - 1, '/'))
	{
		match->secret = path + sizeof(input) - 1;
		match->secret_length = strlen(match->secret);
	}
	else if (!wt_path_is(path, "/api/v2/logs") && !wt_path_is(path, "/v1/input"))
		return false;
	wt_match_events(request, match);
	return true;
}

/* {"errors":[{"status":"…","title":"…","detail":"…"}]} */
static void
refuse(const WtRequest *request, WtReason reason, const char *sentence, WtWords *words)
{
	const char *title = "Bad Request";

	(void) request;
	(void) reason;
	/* A key that is wrong, or not there, is forbidden here. */
	if (words->status == 401)
		words->status = 403;
	switch (words->status)
	{
		case 403:
			title = "Forbidden";
			break;
		case 404:
			title = "Not Found";
			break;
		case 405:
			title = "Method Not Allowed";
			break;
		case 413:
			title = "Payload Too Large";
			break;
		case 429:
			title = "Too Many Requests";
			break;
		case 503:
			title = "Service Unavailable";
			break;
		default:
			break;
	}
	wt_buffer_print(&words->body,
					"{\"errors\":[{\"status\":\"%d\",\"title\":\"%s\",\"detail\":",
					words->status, title);
	wt_buffer_json(&words->body, sentence, strlen(sentence));
	wt_buffer_text(&words->body, "}]}");
}

static void
probe(const WtRequest *request, const char *trouble, WtWords *words)
{
	if (request->route == WT_ROUTE_CHECK || wt_path_is(request->path, "/api/v1/validate"))
		wt_buffer_text(&words->body, "{\"valid\":true}");
	else if (trouble)
		words->status = 503;
}

static void
answer(const WtOutcome *outcome, WtWords *words)
{
	if (outcome->n_refused > 0)
	{
		words->status = 400;
		refuse(outcome->request, WT_REASON_TABLE, outcome->first_error, words);
		return;
	}
	words->status = 202;
	wt_buffer_text(&words->body, "{}");
}

const WtProtocol wt_datadog = {
	.endpoint = {.name = "datadog",
				 .find = find,
				 .refuse = refuse,
				 .probe = probe,
				 .token_header = "DD-API-KEY"},
	.next = wt_next_json_with_timestamp,
	.answer = answer,
};
