/*
 * elastic_probes.c
 *		What clients of Elasticsearch ask before they send, and the errors that they are told.
 *
 * Clients look who answers (/), whether it is well (/_cluster/health), what it is licensed for,
 * and whether the templates, policies and pipelines are there that they would set up.  They are
 * told that all of it is there, and what they set up is acknowledged: nothing here depends on
 * it.  What reads events is refused, with a sentence, and so is what could carry an event and is
 * sent to no path that takes any: an acknowledgement would lose it.
 */
#include <stdio.h>
#include <string.h>

#include "protocol/elastic.h"

/*
 * Older clients want a server that is not older than they are; none looks for more, but for
 * clients of OpenSearch, which do not look at all.
 */
#define VERSION "8.19.0"

#define ROOT_METHODS "GET, HEAD, POST, OPTIONS"
#define SETUP_METHODS "GET, HEAD, PUT, POST, OPTIONS"
#define NO_METHODS ""

static const char no_search[] =
	"WindTrap collects events and has no search: read them in SQL, from its log table";
static const char no_such_path[] =
	"there is nothing at this path: send events to /_bulk, /{index}/_bulk or "
	"/{index}/_doc";

static bool
is_one_of(const WtSegment *segment, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (wt_segment_is(segment, names[i]))
			return true;
	return false;
}

#define IS_ONE_OF(segment, names)                                                        \
	is_one_of(segment, names, sizeof(names) / sizeof((names)[0]))

/* What reads events, or changes those that are there. */
static bool
is_search(const WtSegment *segment)
{
	static const char *const names[] = {"_search",
										"_msearch",
										"_count",
										"_mget",
										"_source",
										"_explain",
										"_field_caps",
										"_termvectors",
										"_mtermvectors",
										"_validate",
										"_rank_eval",
										"_async_search",
										"_sql",
										"_eql",
										"_esql",
										"_query",
										"_pit",
										"_scroll",
										"_knn_search",
										"_search_shards",
										"_reindex",
										"_update_by_query",
										"_delete_by_query",
										"_terms_enum",
										"_search_scroll",
										"_graph",
										"_plugins"};

	return IS_ONE_OF(segment, names);
}

/* What is sent to these paths is meant to be stored, and is where nothing stores it. */
static bool
carries_events(const WtRequest *request, const WtSegment *segment)
{
	static const char *const names[] = {"_doc", "_create", "_update", "_type"};
	const char *type = request->content_type;

	return IS_ONE_OF(segment, names) ||
		   (segment->length >= 5 && memcmp(segment->text, "_bulk", 5) == 0) ||
		   (type && strstr(type, "ndjson"));
}

/* What of an index can be set up by a request with a body. */
static bool
is_setup_of_index(const WtSegment *segment)
{
	static const char *const names[] = {
		"_mapping", "_mappings", "_settings", "_alias",	   "_aliases", "_refresh",
		"_flush",	"_open",	 "_close",	  "_rollover", "_ilm",	   "_forcemerge"};

	return IS_ONE_OF(segment, names);
}

static bool
find_root(const WtRequest *request, WtMatch *match)
{
	if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0)
		return false;
	match->allow = ROOT_METHODS;
	match->route = WT_ROUTE_PROBE;
	return true;
}

static bool
refuse_path(WtMatch *match, const char *sentence)
{
	match->allow = NO_METHODS;
	match->route = WT_ROUTE_NOT_FOUND;
	match->sentence = sentence;
	return true;
}

/* HEAD of an index: it is there, as all are. */
static bool
find_index(const WtRequest *request, const WtSegment *segment, WtMatch *match)
{
	static const char *const own[] = {"log", "metrics", "health", "favicon.ico"};

	if (strcmp(request->method, "HEAD") != 0 || IS_ONE_OF(segment, own))
		return false;
	match->allow = "HEAD";
	match->route = WT_ROUTE_PROBE;
	return true;
}

bool
wt_elastic_find_probe(const WtRequest *request, const WtSegment *segments, int n,
					  WtMatch *match)
{
	const char *method = request->method;
	bool of_index = n > 1 && *segments[0].text != '_';
	bool changes = strcmp(method, "PUT") == 0 || strcmp(method, "POST") == 0;
	const WtSegment *command = &segments[of_index ? 1 : 0];

	if (n == 0)
		return find_root(request, match);
	if (n == 1 && *segments[0].text != '_')
		return find_index(request, segments, match);
	if (*command->text != '_')
		return false;
	if (is_search(command) || is_search(&segments[n - 1]))
		return refuse_path(match, no_search);
	if (of_index && !changes && wt_segment_is(command, "_doc"))
		return refuse_path(match, no_search);
	if (carries_events(request, command) ||
		(of_index && changes && !is_setup_of_index(command)))
		return refuse_path(match, no_such_path);
	match->allow = SETUP_METHODS;
	match->route = changes || strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0
					   ? WT_ROUTE_PROBE
				   : strcmp(method, "OPTIONS") == 0 ? WT_ROUTE_OPTIONS
													: WT_ROUTE_BAD_METHOD;
	return true;
}

/*
 * Answers
 */

static void
answer_root(WtBuffer *out)
{
	wt_buffer_text(
		out, "{\"name\":\"windtrap\",\"cluster_name\":\"windtrap\",\"cluster_uuid\":"
			 "\"windtrap\",\"version\":{\"number\":\"" VERSION
			 "\",\"build_flavor\":\"default\",\"build_type\":\"unknown\",\"build_hash\":"
			 "\"unknown\",\"build_date\":\"1970-01-01T00:00:00.000Z\",\"build_snapshot\":"
			 "false,\"lucene_version\":\"9.12.2\",\"minimum_wire_compatibility_version\":"
			 "\"7.17.0\",\"minimum_index_compatibility_version\":\"7.0.0\"},"
			 "\"tagline\":\"You Know, for Search\"}");
}

static void
answer_health(const char *trouble, WtWords *words)
{
	if (trouble)
		words->status = 503;
	wt_buffer_text(&words->body, "{\"cluster_name\":\"windtrap\",\"status\":\"");
	wt_buffer_text(&words->body, trouble ? "red" : "green");
	wt_buffer_text(
		&words->body,
		"\",\"timed_out\":false,\"number_of_nodes\":1,\"number_of_data_nodes\":1,"
		"\"active_primary_shards\":1,\"active_shards\":1,\"relocating_shards\":0,"
		"\"initializing_shards\":0,\"unassigned_shards\":0,"
		"\"delayed_unassigned_shards\":0,\"number_of_pending_tasks\":0,"
		"\"number_of_in_flight_fetch\":0,\"task_max_waiting_in_queue_millis\":0,"
		"\"active_shards_percent_as_number\":100.0}");
}

static void
answer_cat(const WtSegment *what, const char *trouble, WtWords *words)
{
	words->type = "text/plain; charset=UTF-8";
	if (!what || !wt_segment_is(what, "health"))
		return;
	if (trouble)
		words->status = 503;
	wt_buffer_print(&words->body, "windtrap %s 1 1 1 1 0 0 0 0 - 100.0%%\n",
					trouble ? "red" : "green");
}

static void
answer_license(WtBuffer *out, bool features)
{
	wt_buffer_text(out, features ? "{\"build\":{}," : "{");
	wt_buffer_text(out, "\"license\":{\"status\":\"active\",\"uid\":\"windtrap\","
						"\"type\":\"basic\",\"mode\":\"basic\"}");
	wt_buffer_text(out, features ? ",\"features\":{},\"tagline\":\"\"}" : "}");
}

/*
 * Clients that ask for nodes send to those that they are told of, and to nobody where there is
 * none: it is the address that they have come by.
 */
static void
answer_nodes(const WtRequest *request, WtBuffer *out)
{
	const char *host = request->host ? request->host : "localhost";
	WtBuffer address = {0};

	wt_buffer_text(&address, host);
	/* An address of IPv6 is in brackets. */
	if (!strchr(strchr(host, ']') ? strchr(host, ']') : host, ':'))
		wt_buffer_text(&address, ":80");
	wt_buffer_text(out, "{\"_nodes\":{\"total\":1,\"successful\":1,\"failed\":0},"
						"\"cluster_name\":\"windtrap\",\"nodes\":{\"windtrap\":{"
						"\"name\":\"windtrap\",\"version\":\"" VERSION
						"\",\"roles\":[\"data\",\"ingest\",\"master\"],\"http\":{"
						"\"publish_address\":");
	if (address.failed)
		out->failed = true;
	else
		wt_buffer_json(out, address.data, address.length);
	wt_buffer_text(out, "}}}}");
	wt_buffer_free(&address);
}

/* Things that clients set up, and what one of them looks like, of a name that goes in between. */
static const struct Thing
{
	const char *path; /* the name is what follows */
	const char *before;
	const char *after;
} things[] = {
	{"_index_template", "{\"index_templates\":[{\"name\":",
	 ",\"index_template\":{\"index_patterns\":[],\"composed_of\":[]}}]}"},
	{"_component_template", "{\"component_templates\":[{\"name\":",
	 ",\"component_template\":{\"template\":{}}}]}"},
	{"_template", "{",
	 ":{\"order\":0,\"index_patterns\":[],\"settings\":{},\"mappings\":{},"
	 "\"aliases\":{}}}"},
	{"_data_stream", "{\"data_streams\":[{\"name\":",
	 ",\"timestamp_field\":{\"name\":\"@timestamp\"},\"indices\":[],\"generation\":1,"
	 "\"status\":\"GREEN\"}]}"},
	{"_ilm/policy", "{", ":{\"version\":1,\"policy\":{\"phases\":{}}}}"},
	{"_ingest/pipeline", "{", ":{\"processors\":[]}}"},
};

/* One of these things, of which the name is the last piece; false: it is none of them. */
static bool
answer_thing(const WtSegment *segments, int n, WtBuffer *out)
{
	char name[WT_ELASTIC_NAME_SIZE];
	size_t length;

	for (size_t i = 0; i < sizeof(things) / sizeof(things[0]); i++)
	{
		const struct Thing *thing = &things[i];
		size_t first = strcspn(thing->path, "/");
		int pieces = thing->path[first] == '/' ? 2 : 1;

		if (n != pieces + 1 || segments[0].length != first ||
			memcmp(segments[0].text, thing->path, first) != 0 ||
			(pieces == 2 && !wt_segment_is(&segments[1], thing->path + first + 1)))
			continue;
		length = wt_segment_unescape(&segments[n - 1], name);
		if (length == 0)
			return false;
		wt_buffer_text(out, thing->before);
		wt_buffer_json(out, name, length);
		wt_buffer_text(out, thing->after);
		return true;
	}
	return false;
}

static void
answer_get(const WtRequest *request, const WtSegment *segments, int n,
		   const char *trouble, WtWords *words)
{
	WtBuffer *out = &words->body;

	if (n == 0)
		answer_root(out);
	else if (n >= 2 && wt_segment_is(&segments[0], "_cluster") &&
			 wt_segment_is(&segments[1], "health"))
		answer_health(trouble, words);
	else if (wt_segment_is(&segments[0], "_cat"))
		answer_cat(n > 1 ? &segments[1] : NULL, trouble, words);
	else if (wt_segment_is(&segments[0], "_license") ||
			 (n == 2 && wt_segment_is(&segments[0], "_xpack") &&
			  wt_segment_is(&segments[1], "license")))
		answer_license(out, false);
	else if (n == 1 && wt_segment_is(&segments[0], "_xpack"))
		answer_license(out, true);
	else if (wt_segment_is(&segments[0], "_nodes"))
		answer_nodes(request, out);
	else if (!answer_thing(segments, n, out))
		wt_buffer_text(out, "{}");
}

void
wt_elastic_probe(const WtRequest *request, const char *trouble, WtWords *words)
{
	WtSegment segments[WT_ELASTIC_SEGMENTS];
	int n = wt_elastic_split(request->path, segments);

	if (strcmp(request->method, "GET") == 0)
	{
		answer_get(request, segments, n, trouble, words);
		return;
	}
	if (strcmp(request->method, "HEAD") == 0)
	{
		/* HEAD of the root, and of where events go, asks whether it is well. */
		if (trouble && (n == 0 || wt_segment_is(&segments[n - 1], "_bulk") ||
						(n == 2 && wt_segment_is(&segments[1], "health"))))
			words->status = 503;
		return;
	}
	if (n > 0 && (wt_segment_is(&segments[n - 1], "_refresh") ||
				  wt_segment_is(&segments[n - 1], "_flush")))
		wt_buffer_text(&words->body,
					   "{\"_shards\":{\"total\":1,\"successful\":1,\"failed\":0}}");
	else
		wt_buffer_text(&words->body, "{\"acknowledged\":true}");
}

/*
 * Errors
 */

void
wt_elastic_error(const char *type, const char *sentence, WtWords *words)
{
	WtBuffer *out = &words->body;

	wt_buffer_text(out, "{\"error\":{\"root_cause\":[{\"type\":");
	wt_buffer_json(out, type, strlen(type));
	wt_buffer_text(out, ",\"reason\":");
	wt_buffer_json(out, sentence, strlen(sentence));
	wt_buffer_text(out, "}],\"type\":");
	wt_buffer_json(out, type, strlen(type));
	wt_buffer_text(out, ",\"reason\":");
	wt_buffer_json(out, sentence, strlen(sentence));
	wt_buffer_print(out, "},\"status\":%d}", words->status);
}

/* What Elasticsearch calls an error of that status. */
static const char *
type_of(int status, WtReason reason)
{
	switch (status)
	{
		case 401:
		case 403:
			return "security_exception";
		case 404:
			return "resource_not_found_exception";
		case 406:
		case 415:
			return "media_type_header_exception";
		case 413:
			return "content_too_large_exception";
		case 503:
			return reason == WT_REASON_MEMORY ? "circuit_breaking_exception"
				   : reason == WT_REASON_RATE || reason == WT_REASON_OVERLOAD
					   ? "es_rejected_execution_exception"
					   : "unavailable_shards_exception";
		default:
			return reason == WT_REASON_BAD_JSON || reason == WT_REASON_EMPTY
					   ? "parse_exception"
				   : status >= 500 ? "exception"
								   : "illegal_argument_exception";
	}
}

void
wt_elastic_refuse(const WtRequest *request, WtReason reason, const char *sentence,
				  WtWords *words)
{
	/* Most clients lose what is answered by 429, and all of them send it again after 503. */
	if (words->status == 429)
		words->status = 503;
	/*
	 * rsyslog, which sends no User-Agent, loses the batch to any answer of an error, and keeps
	 * it where there is none.
	 */
	if (words->status == 503 &&
		!wt_header_find(request->headers, request->n_headers, "User-Agent"))
	{
		words->status = 0;
		return;
	}
	wt_elastic_error(type_of(words->status, reason), sentence, words);
}
