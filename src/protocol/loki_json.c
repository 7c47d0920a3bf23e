/*
 * loki_json.c
 *		A push to Loki as JSON: {"streams":[{"stream":{…},"values":[["<ns>","line",{…}],…]},…]},
 *		and the form before that, {"labels":"{…}","entries":[{"ts":"…","line":"…"},…]}.
 */
#include "event/json_walk.h"
#include "protocol/loki.h"

/* A walk as it is kept, and as it is taken up again. */
static WtJsonText
left_of(const WtJsonWalk *walk)
{
	return (WtJsonText){walk->next, (size_t) (walk->end - walk->next)};
}

static WtJsonWalk
go_on(WtJsonText left)
{
	return (WtJsonWalk){.next = left.text, .end = left.text + left.length};
}

static bool
begin(WtLokiState *state, const char *body, size_t length)
{
	WtJsonText whole;
	WtJsonText name;
	WtJsonText value;
	WtJsonWalk members;
	WtJsonWalk streams;
	bool found = false;

	if (!wt_json_walk_whole(body, length, &whole) ||
		!wt_json_walk_into(&members, whole, '{'))
		return false;
	state->entries = (WtJsonText){body, 0};
	while (wt_json_walk_member(&members, &name, &value))
	{
		if (!wt_json_walk_is(name, "streams") || !wt_json_walk_into(&streams, value, '['))
			continue;
		state->streams = left_of(&streams);
		found = true;
	}
	return found && !members.broken;
}

/* Begins with the next stream. */
static WtLokiResult
next_stream(WtLokiState *state)
{
	WtJsonWalk streams = go_on(state->streams);
	WtJsonText stream;
	WtJsonText name;
	WtJsonText value;
	WtJsonWalk members;
	WtJsonWalk entries;

	if (!wt_json_walk_element(&streams, &stream))
		return streams.broken ? WT_LOKI_BROKEN : WT_LOKI_END;
	state->streams = left_of(&streams);
	state->entries = (WtJsonText){stream.text, 0};
	state->labels = (WtJsonText){"", 0};
	state->old_form = false;
	state->same_context = false;
	if (!wt_json_walk_into(&members, stream, '{'))
		return WT_LOKI_BROKEN;
	while (wt_json_walk_member(&members, &name, &value))
	{
		bool labels = wt_json_walk_is(name, "labels");
		bool old_entries = wt_json_walk_is(name, "entries");

		if (labels || wt_json_walk_is(name, "stream"))
			state->labels = value;
		else if ((old_entries || wt_json_walk_is(name, "values")) &&
				 wt_json_walk_into(&entries, value, '['))
		{
			state->entries = left_of(&entries);
			state->old_form = old_entries;
		}
	}
	return members.broken ? WT_LOKI_BROKEN : WT_LOKI_ENTRY;
}

static bool
read_array(WtJsonText text, WtLokiEntry *entry)
{
	WtJsonWalk parts;
	WtJsonText part;

	if (!wt_json_walk_into(&parts, text, '[') || !wt_json_walk_element(&parts, &part))
		return false;
	entry->time = part;
	if (!wt_json_walk_element(&parts, &part))
		return false;
	entry->line = part;
	if (wt_json_walk_element(&parts, &part))
		entry->metadata = part;
	return !parts.broken;
}

static bool
read_object(WtJsonText text, WtLokiEntry *entry)
{
	WtJsonWalk members;
	WtJsonText name;
	WtJsonText value;

	if (!wt_json_walk_into(&members, text, '{'))
		return false;
	while (wt_json_walk_member(&members, &name, &value))
	{
		if (wt_json_walk_is(name, "ts"))
			entry->time = value;
		else if (wt_json_walk_is(name, "line"))
			entry->line = value;
	}
	return entry->line.text && !members.broken;
}

static WtLokiResult
next(WtLokiState *state, WtLokiEntry *entry)
{
	for (;;)
	{
		WtJsonWalk entries = go_on(state->entries);
		WtJsonText text;
		WtLokiResult result;

		if (wt_json_walk_element(&entries, &text))
		{
			state->entries = left_of(&entries);
			*entry = (WtLokiEntry){.raw = text};
			return (state->old_form ? read_object : read_array)(text, entry)
					   ? WT_LOKI_ENTRY
					   : WT_LOKI_BAD_ENTRY;
		}
		if (entries.broken)
			return WT_LOKI_BROKEN;
		result = next_stream(state);
		if (result != WT_LOKI_ENTRY)
			return result;
	}
}

static bool
add_line(WtBuild *build, const WtLokiEntry *entry)
{
	return wt_build_parse(build, entry->line.text, entry->line.length);
}

static bool
add_labels(WtBuild *build, const WtLokiState *state)
{
	uint32_t i = wt_build_next(build);
	const WtJsonToken *t;

	/* For labels that are text, which must not move while they are read, see loki.c. */
	if (!wt_json_reserve(build->json, 6 * state->labels.length) ||
		!wt_build_parse(build, state->labels.text, state->labels.length))
		return false;
	t = &build->json->tokens[i];
	if (t->type != WT_JSON_STRING)
		return true;
	wt_build_undo(build, i);
	return wt_loki_add_labels(build, t->u.text, t->length);
}

static bool
add_metadata(WtBuild *build, const WtLokiEntry *entry)
{
	return wt_build_parse(build, entry->metadata.text, entry->metadata.length);
}

const WtLokiFormat wt_loki_json = {begin, next, add_line, add_labels, add_metadata};
