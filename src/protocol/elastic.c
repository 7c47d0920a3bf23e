/*
 * elastic.c
 *		Elasticsearch and OpenSearch: _bulk, and single documents.
 *
 * A body of _bulk is lines: an action, `{"create":{"_index":"logs","_id":"1"}}`, and, but for
 * deletes, a document.  The document is the event; what its action says is `elastic` beside it:
 * index, id, op, and what else there is (routing, pipeline).  Nothing is updated or deleted
 * here: these actions are events as others are.
 *
 * Clients tell items of an answer by their order alone, one for each action, and none of them
 * treats an item's error well: they lose it, or send all again without end.  So each item says
 * that it is stored, which it is, if in quarantine.  The answer is made by walking the body
 * once more, by the very function that decoding has walked it with.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "event/json_build.h"
#include "event/own_time.h"
#include "protocol/elastic.h"
#include "protocol/elastic_bulk.h"
#include "protocol/protocols.h"

#define BULK_METHODS "POST, PUT, HEAD, OPTIONS"

/* An _id that is longer makes no key. */
#define MAX_KEY_ID 512

/* An _id that is made here, as Elasticsearch's own: 15 bytes in base64. */
#define ID_LENGTH 20

typedef enum Verb
{
	VERB_PROBE,
	VERB_BULK,	   /* /_bulk, /{index}/_bulk */
	VERB_DOCUMENT, /* /{index}/_doc, /{index}/_doc/{id}, /{index}/{type} */
	VERB_CREATE	   /* /{index}/_create/{id} */
} Verb;

/* Words of a decoder's state. */
enum
{
	STATE_BEGUN, /* the body has been looked at */
	STATE_N		 /* events so far */
};

/*
 * Paths
 */

int
wt_elastic_split(const char *path, WtSegment segments[WT_ELASTIC_SEGMENTS])
{
	int n = 0;

	for (const char *p = path + strspn(path, "/"); *p != '\0'; p += strspn(p, "/"))
	{
		if (n == WT_ELASTIC_SEGMENTS)
			return -1;
		segments[n].text = p;
		segments[n].length = strcspn(p, "/");
		p += segments[n++].length;
	}
	return n;
}

bool
wt_segment_is(const WtSegment *segment, const char *text)
{
	return segment->length == strlen(text) &&
		   memcmp(segment->text, text, segment->length) == 0;
}

size_t
wt_segment_unescape(const WtSegment *segment, char name[WT_ELASTIC_NAME_SIZE])
{
	char bytes[WT_ELASTIC_NAME];
	size_t n = 0;

	for (size_t i = 0; i < segment->length; i++)
	{
		int byte = wt_percent_byte(segment->text + i, segment->length - i);

		if (n == sizeof(bytes))
			return 0;
		bytes[n++] = byte >= 0 ? (char) byte : segment->text[i];
		if (byte >= 0)
			i += 2;
	}
	return wt_text_repair(bytes, n, name);
}

/* Whether a segment may be an index's name, for which Elasticsearch has rules. */
static bool
is_index(const WtSegment *segment)
{
	char name[WT_ELASTIC_NAME_SIZE];

	return *segment->text != '_' && wt_segment_unescape(segment, name) > 0;
}

/*
 * Whether /{first}/{second} can be an index and one of the types that it had in old times,
 * which rsyslog still sends: nothing that others mean something by.
 */
static bool
is_typed(const WtRequest *request, const WtSegment *first, const WtSegment *second)
{
	static const char *const others[] = {"api",	 "v1",		"v2",	  "v3",		  "loki",
										 "log",	 "metrics", "health", "services", "gelf",
										 "otlp", "upload",	"ready"};
	const char *type = request->content_type;

	if (!type || (strncasecmp(type, "application/json", 16) != 0 &&
				  strncasecmp(type, "application/vnd.elasticsearch+json", 34) != 0))
		return false;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (wt_segment_is(first, others[i]))
			return false;
	for (size_t i = 0; i < first->length; i++)
		if (first->text[i] >= 'A' && first->text[i] <= 'Z')
			return false;
	return *second->text != '_' && strcspn(second->text, ".%") >= second->length;
}

/* Which of the requests that bring events this is; VERB_PROBE: none. */
static Verb
find_verb(const WtRequest *request, const WtSegment *segments, int n)
{
	bool posts = strcmp(request->method, "POST") == 0;

	if (n == 0)
		return VERB_PROBE;
	/* _monitoring/bulk is where Beats and Logstash send what they count. */
	if ((n == 1 && wt_segment_is(&segments[0], "_bulk")) ||
		(n == 2 && wt_segment_is(&segments[0], "_monitoring") &&
		 wt_segment_is(&segments[1], "bulk")) ||
		(n == 3 && wt_segment_is(&segments[0], "_xpack") &&
		 wt_segment_is(&segments[1], "monitoring") &&
		 wt_segment_is(&segments[2], "_bulk")))
		return VERB_BULK;
	if (n < 2 || !is_index(&segments[0]))
		return VERB_PROBE;
	if (n <= 3 && wt_segment_is(&segments[n - 1], "_bulk"))
		return VERB_BULK;
	if (wt_segment_is(&segments[1], "_doc") && (n == 3 || (n == 2 && posts)))
		return VERB_DOCUMENT;
	if (wt_segment_is(&segments[1], "_create") && n == 3)
		return VERB_CREATE;
	if (n == 2 && posts && is_typed(request, &segments[0], &segments[1]))
		return VERB_DOCUMENT;
	return VERB_PROBE;
}

static bool
find(const WtRequest *request, WtMatch *match)
{
	WtSegment segments[WT_ELASTIC_SEGMENTS];
	int n = wt_elastic_split(request->path, segments);
	const char *method = request->method;
	Verb verb;

	if (n < 0 || request->path[0] != '/')
		return false;
	verb = find_verb(request, segments, n);
	match->verb = (int) verb;
	if (verb == VERB_PROBE)
		return wt_elastic_find_probe(request, segments, n, match);
	match->allow = BULK_METHODS;
	if (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0)
		match->route = WT_ROUTE_EVENTS;
	else if (strcmp(method, "OPTIONS") == 0)
		match->route = WT_ROUTE_OPTIONS;
	else if (verb != VERB_BULK)
		/* A document is asked for, or to be deleted. */
		return wt_elastic_find_probe(request, segments, n, match);
	else
		match->route = strcmp(method, "HEAD") == 0 ? WT_ROUTE_PROBE : WT_ROUTE_BAD_METHOD;
	return true;
}

/*
 * What a path says of a document.
 */
typedef struct Place
{
	WtSegment index; /* no text: it names none */
	WtSegment id;
	WtBulkOp op;
} Place;

static Place
place_of(const WtRequest *request)
{
	WtSegment segments[WT_ELASTIC_SEGMENTS];
	Place place = {.op = WT_BULK_INDEX};
	int n = request ? wt_elastic_split(request->path, segments) : 0;
	char type[16];

	if (n < 1 || *segments[0].text == '_')
		return place;
	place.index = segments[0];
	if (request->verb == VERB_BULK)
		return place;
	if (n == 3)
		place.id = segments[2];
	if (request->verb == VERB_CREATE ||
		(wt_query_value(request, "op_type", type, sizeof(type)) &&
		 strcmp(type, "create") == 0))
		place.op = WT_BULK_CREATE;
	return place;
}

/*
 * The _id of a document whose sender gives it none: out of the time of the request, the place
 * of the document in it, and what tells requests of one moment apart, so that the answer and
 * the row have the same.
 */
static void
make_id(const WtRequest *request, uint64_t n, char id[ID_LENGTH])
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint64_t time = request ? (uint64_t) request->received_us : 0;
	static uint64_t process; /* asked once: to ask is a system call */
	uint64_t mix;
	unsigned char bytes[15];

	if (process == 0)
		process = (uint64_t) getpid() << 40;
	mix = (process ^ (uint64_t) (uintptr_t) request) * UINT64_C(0x9E3779B97F4A7C15);
	mix ^= mix >> 29;
	for (int i = 0; i < 7; i++)
		bytes[i] = (unsigned char) (time >> (48 - 8 * i));
	for (int i = 0; i < 4; i++)
	{
		bytes[7 + i] = (unsigned char) (mix >> (24 - 8 * i));
		bytes[11 + i] = (unsigned char) (n >> (24 - 8 * i));
	}
	for (int i = 0; i < 5; i++)
	{
		uint32_t group = (uint32_t) bytes[3 * i] << 16 |
						 (uint32_t) bytes[3 * i + 1] << 8 | bytes[3 * i + 2];

		for (int k = 0; k < 4; k++)
			id[4 * i + k] = digits[group >> (18 - 6 * k) & 0x3F];
	}
}

/*
 * Decoding
 */

/* What of an action is not the index, the id, or a type, which is no more. */
static void
build_rest(WtBuild *build, uint32_t said)
{
	const WtJson *json = build->json;
	uint32_t next = said + 1;

	if (json->tokens[said].type != WT_JSON_OBJECT)
		return;
	for (uint32_t k = json->tokens[said].length; k > 0; k--)
	{
		const WtJsonToken name = json->tokens[next];
		const uint32_t value = next + 1;

		next = wt_json_after(json, value);
		if (json->tokens[value].type == WT_JSON_NULL ||
			(name.length == 6 && memcmp(name.u.text, "_index", 6) == 0) ||
			(name.length == 3 && memcmp(name.u.text, "_id", 3) == 0) ||
			(name.length == 5 && memcmp(name.u.text, "_type", 5) == 0))
			continue;
		if (name.length > 1 && name.u.text[0] == '_')
			wt_build_name(build, name.u.text + 1, name.length - 1);
		else
			wt_build_name(build, name.u.text, name.length);
		wt_build_token(build, value);
	}
}

/* A piece of a path as a string. */
static void
build_segment(WtBuild *build, const WtSegment *segment)
{
	char name[WT_ELASTIC_NAME_SIZE];

	wt_build_copy(build, name, wt_segment_unescape(segment, name));
}

/*
 * Adds what surrounds the event; *index and *id become the tokens of these, 0 where there is
 * none, or none of the sender's.  False: out of memory.
 */
static bool
build_context(WtDecoder *decoder, WtJson *json, const Place *place,
			  const WtBulkItem *item, uint32_t *index, uint32_t *id)
{
	const WtJsonToken *t;
	WtBuild build;

	*index = *id = 0;
	wt_build_begin(&build, json, false);
	decoder->decoded.has_context = true;
	decoder->decoded.context = wt_build_next(&build);
	wt_build_open(&build, WT_JSON_OBJECT);
	/*
	 * First what is the sender's to name, for of two members of a name the last counts; ours in
	 * jsonb's order.
	 */
	if (item && item->good)
		build_rest(&build, item->said);
	wt_build_key(&build, "id");
	t = item ? wt_bulk_said(json, item, "_id") : NULL;
	if (t || place->id.text)
		*id = wt_build_next(&build);
	if (t)
		wt_build_string(&build, t->u.text, t->length);
	else if (place->id.text)
		build_segment(&build, &place->id);
	else
	{
		char made[ID_LENGTH];

		make_id(decoder->request, decoder->state.words[STATE_N], made);
		wt_build_copy(&build, made, sizeof(made));
	}
	if (!item || item->good)
	{
		const char *name = wt_bulk_ops[item ? item->op : place->op].name;

		wt_build_key(&build, "op");
		wt_build_string(&build, name, strlen(name));
	}
	t = item ? wt_bulk_said(json, item, "_index") : NULL;
	if (t || place->index.text)
	{
		wt_build_key(&build, "index");
		*index = wt_build_next(&build);
		if (t)
			wt_build_string(&build, t->u.text, t->length);
		else
			build_segment(&build, &place->index);
	}
	wt_build_close(&build);
	return wt_build_is_good(&build);
}

/*
 * Makes the index and the id, tokens of json, the event's key; false: out of memory.  A create
 * is for the first of its id alone; an index may come again with another document, which must
 * not be taken for a repetition, so that the document belongs to its key.
 */
static bool
set_key(WtDecoder *decoder, WtJson *json, WtBulkOp op, const WtLine *document,
		uint32_t index, uint32_t id)
{
	size_t index_length = index ? json->tokens[index].length : 0;
	size_t id_length = id ? json->tokens[id].length : 0;
	size_t length = index_length + 1 + id_length;
	char *key;

	/* Two ids that are no text may be the same once they are repaired: not the same event. */
	if (json->repaired)
		return true;

	if ((op != WT_BULK_INDEX && op != WT_BULK_CREATE) || id_length == 0 ||
		id_length > MAX_KEY_ID)
		return true;
	if (op == WT_BULK_INDEX)
		length += 1 + document->length;
	key = wt_json_room(json, length);
	if (!key)
		return false;
	decoder->decoded.key = key;
	decoder->decoded.key_length = length;
	if (index_length > 0)
		memcpy(key, json->tokens[index].u.text, index_length);
	key += index_length;
	*key++ = '\0';
	memcpy(key, json->tokens[id].u.text, id_length);
	key += id_length;
	if (op == WT_BULK_INDEX)
	{
		*key++ = '\0';
		memcpy(key, document->text, document->length);
	}
	return true;
}

/* A document, after what is in json; WT_DECODE_EVENT, or why it is none. */
static WtDecodeResult
read_document(WtDecoder *decoder, WtJson *json, const WtLine *line)
{
	const uint32_t event = json->n_tokens;
	WtJsonError error;
	WtJsonResult r;
	WtBulkItem bad = {.document = *line};
	uint32_t time;

	if (line->length > decoder->max_event_size)
		return wt_decode_bad(
			decoder, line->text, line->length, WT_REASON_EVENT_TOO_LARGE,
			"the document is larger than windtrap.max_event_size, %zu bytes",
			decoder->max_event_size);
	r = wt_json_append(json, line->text, line->length, WT_JSON_MAX_DEPTH, &error);
	if (r == WT_JSON_OUT_OF_MEMORY)
		return WT_DECODE_OUT_OF_MEMORY;
	if (r != WT_JSON_OK)
	{
		wt_bulk_set_json_error(&bad, "bad document", line, r, &error);
		return wt_decode_bad(decoder, line->text, line->length, bad.reason, "%s",
							 bad.error);
	}
	decoder->decoded.event = event;
	if (wt_json_find(json, event, "@timestamp", &time))
		wt_decode_time(decoder, &json->tokens[time]);
	return WT_DECODE_EVENT;
}

/* What remains to be done for an event, good or bad, of which the tokens are there. */
static WtDecodeResult
finish(WtDecoder *decoder, WtJson *json, const Place *place, const WtBulkItem *item,
	   const WtLine *raw, WtDecodeResult result)
{
	uint32_t index;
	uint32_t id;

	if (result == WT_DECODE_OUT_OF_MEMORY ||
		!build_context(decoder, json, place, item, &index, &id))
		return WT_DECODE_OUT_OF_MEMORY;
	/* All of its texts have come through the parser, or are repaired: they can be stored. */
	decoder->raw = raw->text;
	decoder->raw_length = raw->length;
	if (((!item || item->good) &&
		 !set_key(decoder, json, item ? item->op : place->op, raw, index, id)))
		return WT_DECODE_OUT_OF_MEMORY;
	decoder->state.words[STATE_N]++;
	return result;
}

static WtDecodeResult
next_document(WtDecoder *decoder, WtJson *json)
{
	const Place place = place_of(decoder->request);
	const char *body = decoder->next;
	WtLine line = {body, (size_t) (decoder->end - body)};
	WtDecodeResult result;

	while (line.length > 0 && wt_bulk_is_space(*line.text))
	{
		line.text++;
		line.length--;
	}
	while (line.length > 0 && wt_bulk_is_space(line.text[line.length - 1]))
		line.length--;
	if (line.length > decoder->max_event_size)
		return wt_decode_refuse(
			decoder, 413, WT_REASON_EVENT_TOO_LARGE,
			"the document is larger than windtrap.max_event_size, %zu bytes",
			decoder->max_event_size);
	decoder->done = true;
	if (!wt_json_begin(json, 0))
		return WT_DECODE_OUT_OF_MEMORY;
	result = read_document(decoder, json, &line);
	return finish(decoder, json, &place, NULL, &line, result);
}

/* Whether any line from p on is a JSON object. */
static bool
has_object(WtJson *json, const char *p, const char *end, size_t limit)
{
	WtLine line;

	while (wt_bulk_next_line(&p, end, &line))
	{
		WtJsonError error;

		if (*line.text != '{')
			continue;
		if (line.length > limit ||
			wt_json_parse(json, line.text, line.length, &error) != WT_JSON_BAD)
			return true;
	}
	return false;
}

static WtDecodeResult
next_of_bulk(WtDecoder *decoder, WtJson *json)
{
	const Place place = place_of(decoder->request);
	const char *next = decoder->next;
	WtDecodeResult result;
	WtLine raw;
	WtBulkItem item = {.good = false};

	switch (wt_bulk_next_item(json, &next, decoder->end, decoder->max_event_size, &item))
	{
		case WT_BULK_ITEM:
			break;
		case WT_BULK_END:
			return WT_DECODE_END;
		case WT_BULK_OUT_OF_MEMORY:
			return WT_DECODE_OUT_OF_MEMORY;
	}
	raw = item.document.text ? item.document : item.action;
	if (!item.good)
	{
		if (!wt_json_begin(json, 0))
			return WT_DECODE_OUT_OF_MEMORY;
		raw = item.action;
		if (item.document.text)
			raw.length = (size_t) (item.document.text + item.document.length - raw.text);
		result =
			wt_decode_bad(decoder, raw.text, raw.length, item.reason, "%s", item.error);
	}
	else if (json->repaired && !json->repair)
		result = wt_decode_bad(
			decoder, raw.text, raw.length, WT_REASON_NOT_TEXT,
			"a text of the action is not valid UTF-8, or has a NUL or half a character");
	else if (item.document.text)
		result = read_document(decoder, json, &item.document);
	else if (item.op == WT_BULK_DELETE)
	{
		decoder->decoded.event = 0; /* the action itself */
		result = WT_DECODE_EVENT;
	}
	else
		result = wt_decode_bad(decoder, raw.text, raw.length, WT_REASON_BAD_JSON,
							   "no document follows this action");
	result = finish(decoder, json, &place, &item, &raw, result);
	if (result != WT_DECODE_OUT_OF_MEMORY)
		decoder->next = next;
	return result;
}

static WtDecodeResult
next(WtDecoder *decoder, WtJson *json)
{
	const bool bulk = !decoder->request || decoder->request->verb == VERB_BULK;

	if (!decoder->state.words[STATE_BEGUN])
	{
		const char *p;
		WtLine line;

		decoder->end = decoder->body + decoder->length;
		p = decoder->next = decoder->body;
		decoder->is_json = true;
		decoder->state.words[STATE_BEGUN] = 1;
		if (!wt_bulk_next_line(&p, decoder->end, &line))
			return wt_decode_refuse(
				decoder, 400, WT_REASON_EMPTY, "request body is required: send %s",
				bulk ? "lines of actions and documents" : "a document");
		if (bulk &&
			!has_object(json, decoder->body, decoder->end, decoder->max_event_size))
			return wt_decode_refuse(decoder, 400, WT_REASON_BAD_JSON,
									"no line of the body is a JSON object: send lines of "
									"actions and documents");
	}
	return bulk ? next_of_bulk(decoder, json) : next_document(decoder, json);
}

/*
 * Answers
 */

/* What of an answer is asked for. */
typedef struct Filter
{
	bool took;
	bool errors;
	unsigned int fields; /* of an item, bits in the order of field_names */
} Filter;

static const char *const field_names[] = {"_index", "_id", "_version", "result",
										  "status"};

#define ALL_FIELDS ((1U << sizeof(field_names) / sizeof(field_names[0])) - 1)

/*
 * One of the paths of filter_path; false: it is one that is not known here.  What is known are
 * those by which an item's own name does not matter, as all clients have them.
 */
static bool
add_to_filter(Filter *filter, const char *path, size_t length)
{
	WtSegment s = {path, length};

	if (wt_segment_is(&s, "took"))
		filter->took = true;
	else if (wt_segment_is(&s, "errors"))
		filter->errors = true;
	else if (wt_segment_is(&s, "items") || wt_segment_is(&s, "items.*") ||
			 wt_segment_is(&s, "items.*.*"))
		filter->fields = ALL_FIELDS;
	else if (length > 8 && memcmp(path, "items.*.", 8) == 0 &&
			 !memchr(path + 8, '*', length - 8))
	{
		/* Beside these there is only the error, which no item has. */
		s = (WtSegment){path + 8, length - 8};
		for (size_t i = 0; i < sizeof(field_names) / sizeof(field_names[0]); i++)
			if (wt_segment_is(&s, field_names[i]))
				filter->fields |= 1U << i;
	}
	else
		return false;
	return true;
}

/* What filter_path asks for; all, where it cannot be told. */
static Filter
filter_of(const WtRequest *request)
{
	const Filter all = {true, true, ALL_FIELDS};
	Filter filter = {false, false, 0};
	char paths[512];

	if (!wt_query_value(request, "filter_path", paths, sizeof(paths)) || paths[0] == '\0')
		return all;
	for (const char *p = paths; *p != '\0';)
	{
		size_t length = strcspn(p, ",");

		if (!add_to_filter(&filter, p, length))
			return all;
		p += length;
		p += strspn(p, ",");
	}
	return filter;
}

static void
write_segment(WtBuffer *out, const WtSegment *segment)
{
	char name[WT_ELASTIC_NAME_SIZE];

	wt_buffer_json(out, name, segment->text ? wt_segment_unescape(segment, name) : 0);
}

/*
 * The members of an item, or of the answer to a single document; item: NULL for that.  Gives
 * where in out the id stands if it is one of ours; 0: there is none.
 */
static size_t
write_fields(WtBuffer *out, const WtRequest *request, const Place *place,
			 const WtJson *json, const WtBulkItem *item, WtBulkOp op, uint64_t n,
			 unsigned int fields)
{
	char separator = '{';
	size_t id_at = 0;

	for (size_t i = 0; i < sizeof(field_names) / sizeof(field_names[0]); i++)
	{
		const WtJsonToken *t =
			item && i < 2 ? wt_bulk_said(json, item, field_names[i]) : NULL;
		char id[ID_LENGTH];

		if (!(fields & 1U << i))
			continue;
		wt_buffer_add(out, &separator, 1);
		separator = ',';
		wt_buffer_add(out, "\"", 1);
		wt_buffer_text(out, field_names[i]);
		wt_buffer_add(out, "\":", 2);
		switch (i)
		{
			case 0:
				if (t)
					wt_buffer_json(out, t->u.text, t->length);
				else
					write_segment(out, &place->index);
				break;
			case 1:
				if (t)
					wt_buffer_json(out, t->u.text, t->length);
				else if (place->id.text)
					write_segment(out, &place->id);
				else
				{
					make_id(request, n, id);
					id_at = out->length + 1;
					wt_buffer_json(out, id, sizeof(id));
				}
				break;
			case 2:
				wt_buffer_add(out, "1", 1);
				break;
			case 3:
				wt_buffer_json(out, wt_bulk_ops[op].result,
							   strlen(wt_bulk_ops[op].result));
				break;
			default:
				wt_buffer_add(out, wt_bulk_ops[op].status == 201 ? "201" : "200", 3);
		}
	}
	return id_at;
}

/* Most bodies repeat one action: its item is written once, and only the id put in anew. */
static void
write_items(WtBuffer *out, const WtOutcome *outcome, unsigned int fields)
{
	const WtDecoder *decoder = outcome->decoder;
	const Place place = place_of(outcome->request);
	const char *next = decoder->body;
	const char *end = decoder->body + decoder->length;
	WtJson json = {.repair = true};
	WtBulkItem item = {.good = false};
	WtLine action = {NULL, 0}; /* that of text */
	WtBuffer text = {0};	   /* an item, after a comma */
	size_t id_at = 0;		   /* where in it the id of ours stands; 0: it has none */
	uint64_t n = 0;
	WtBulkStep step;

	while ((step = wt_bulk_next_item(&json, &next, end, decoder->max_event_size,
									 &item)) == WT_BULK_ITEM &&
		   !out->failed)
	{
		WtBulkOp op = item.good ? item.op : WT_BULK_INDEX;

		if (id_at > 0 && item.action.length == action.length &&
			memcmp(item.action.text, action.text, action.length) == 0)
			make_id(outcome->request, n, text.data + id_at);
		else
		{
			text.length = 0;
			wt_buffer_text(&text, ",{\"");
			wt_buffer_text(&text, wt_bulk_ops[op].name);
			wt_buffer_add(&text, "\":", 2);
			id_at = write_fields(&text, outcome->request, &place, &json, &item, op, n,
								 fields);
			wt_buffer_add(&text, "}}", 2);
			action = item.action;
			out->failed |= text.failed;
		}
		if (!out->failed)
			wt_buffer_add(out, text.data + (n == 0), text.length - (n == 0));
		n++;
	}
	if (step == WT_BULK_OUT_OF_MEMORY)
		out->failed = true;
	wt_buffer_free(&text);
	wt_json_shrink(&json, 0);
}

static void
answer_bulk(const WtOutcome *outcome, WtBuffer *out)
{
	const Filter filter = filter_of(outcome->request);
	const char *separator = "{";

	if (filter.took)
	{
		wt_buffer_text(out, "{\"took\":1");
		separator = ",";
	}
	if (filter.errors)
	{
		wt_buffer_text(out, separator);
		wt_buffer_text(out, "\"errors\":false");
		separator = ",";
	}
	if (filter.fields)
	{
		wt_buffer_text(out, separator);
		wt_buffer_text(out, "\"items\":[");
		write_items(out, outcome, filter.fields);
		wt_buffer_text(out, "]}");
	}
	else
		wt_buffer_text(out, separator[0] == '{' ? "{}" : "}");
}

static void
answer(const WtOutcome *outcome, WtWords *words)
{
	const WtRequest *request = outcome->request;
	WtBuffer *out = &words->body;
	Place place;

	if (outcome->n_refused > 0)
	{
		char sentence[512];

		/* Which of them they are is not known; that some are nowhere must be said. */
		snprintf(sentence, sizeof(sentence),
				 "%lld of %lld events are not stored, for the log table refuses them: %s",
				 (long long) outcome->n_refused, (long long) outcome->n_events,
				 outcome->first_error ? outcome->first_error : "without a word");
		words->status = 400;
		wt_elastic_error("mapper_parsing_exception", sentence, words);
		return;
	}
	if (request->verb == VERB_BULK)
	{
		answer_bulk(outcome, out);
		return;
	}
	place = place_of(request);
	words->status = 201;
	write_fields(out, request, &place, NULL, NULL, place.op, 0, ALL_FIELDS & ~(1U << 4));
	wt_buffer_text(out, ",\"_shards\":{\"total\":1,\"successful\":1,\"failed\":0},"
						"\"_seq_no\":0,\"_primary_term\":1}");
}

/* Without it the official clients take this for something else, and fail. */
static const WtHeader headers[] = {
	{.name = "X-Elastic-Product", .value = "Elasticsearch"},
};

const WtProtocol wt_elastic = {
	.endpoint = {.name = "elastic",
				 .find = find,
				 .refuse = wt_elastic_refuse,
				 .probe = wt_elastic_probe,
				 .headers = headers,
				 .n_headers = 1,
				 .token_scheme = "ApiKey"},
	.next = next,
	.answer = answer,
};
