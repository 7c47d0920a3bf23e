/*
 * json_tokens.c
 *		A JSON value as a flat list of tokens, and its memory.
 */
#include <stdlib.h>
#include <string.h>

#include "event/json_tokens.h"
#include "base/text.h"

bool
wt_json_begin(WtJson *json, size_t scratch)
{
	json->n_tokens = 0;
	json->n_checked = 0;
	json->scratch_used = 0;
	json->repaired = false;
	if (json->scratch_size < scratch)
	{
		size_t size = scratch + scratch / 2 + 256;
		char *p = realloc(json->scratch, size);

		if (!p)
			return false;
		json->scratch = p;
		json->scratch_size = size;
	}
	return true;
}

bool
wt_json_more_tokens(WtJson *json)
{
	uint32_t max = json->max_tokens ? json->max_tokens * 2 : 256;
	WtJsonToken *t = realloc(json->tokens, (size_t) max * sizeof(WtJsonToken));

	if (!t)
		return false;
	json->tokens = t;
	json->max_tokens = max;
	return true;
}

bool
wt_json_move_scratch(WtJson *json, size_t used, size_t size)
{
	uintptr_t old = (uintptr_t) json->scratch;
	char *p;

	if (json->scratch_size >= size)
		return true;
	p = malloc(size);
	if (!p)
		return false;
	if (used > 0)
		memcpy(p, json->scratch, used);
	for (uint32_t i = 0; i < json->n_tokens; i++)
	{
		WtJsonToken *t = &json->tokens[i];
		uintptr_t text = (uintptr_t) t->u.text;

		if ((t->type == WT_JSON_STRING || t->type == WT_JSON_NUMBER) && text >= old &&
			text - old < used)
			t->u.text = p + (text - old);
	}
	free(json->scratch);
	json->scratch = p;
	json->scratch_size = size;
	return true;
}

bool
wt_json_reserve(WtJson *json, size_t length)
{
	size_t needed = json->scratch_used + length;

	return needed <= json->scratch_size ||
		   wt_json_move_scratch(json, json->scratch_used, needed + needed / 2 + 256);
}

char *
wt_json_room(WtJson *json, size_t length)
{
	static char nothing[1];
	char *room;

	if (length == 0)
		return nothing;
	if (!wt_json_reserve(json, length))
		return NULL;
	room = json->scratch + json->scratch_used;
	json->scratch_used += length;
	return room;
}

bool
wt_json_repair(WtJson *json, const WtJsonToken **unfit)
{
	size_t needed = 0;

	*unfit = NULL;
	for (uint32_t i = json->n_checked; i < json->n_tokens; i++)
	{
		const WtJsonToken *t = &json->tokens[i];

		if (t->type != WT_JSON_STRING ||
			wt_text_valid_prefix(t->u.text, t->length) == t->length)
			continue;
		if (!json->repair)
		{
			*unfit = t;
			return true;
		}
		needed += 3 * (size_t) t->length;
	}
	if (needed == 0)
	{
		json->n_checked = json->n_tokens;
		return true;
	}
	if (!wt_json_move_scratch(json, json->scratch_used, json->scratch_used + needed))
		return false;
	for (uint32_t i = json->n_checked; i < json->n_tokens; i++)
	{
		WtJsonToken *t = &json->tokens[i];
		char *out = json->scratch + json->scratch_used;

		if (t->type != WT_JSON_STRING ||
			wt_text_valid_prefix(t->u.text, t->length) == t->length)
			continue;
		t->length = (uint32_t) wt_text_repair(t->u.text, t->length, out);
		t->u.text = out;
		json->scratch_used += t->length;
	}
	json->repaired = true;
	json->n_checked = json->n_tokens;
	return true;
}

bool
wt_json_find(const WtJson *json, uint32_t i, const char *name, uint32_t *value)
{
	size_t length = strlen(name);
	uint32_t next = i + 1;
	bool found = false;

	if (json->tokens[i].type != WT_JSON_OBJECT)
		return false;
	for (uint32_t k = 0; k < json->tokens[i].length; k++)
	{
		const WtJsonToken *t = &json->tokens[next];

		if (t->length == length && memcmp(t->u.text, name, length) == 0)
		{
			*value = next + 1;
			found = true;
		}
		next = wt_json_after(json, next + 1);
	}
	return found;
}

void
wt_json_shrink(WtJson *json, size_t keep)
{
	if ((size_t) json->max_tokens * sizeof(WtJsonToken) > keep)
	{
		free(json->tokens);
		json->tokens = NULL;
		json->max_tokens = 0;
		json->n_tokens = 0;
	}
	if (json->scratch_size > keep)
	{
		free(json->scratch);
		json->scratch = NULL;
		json->scratch_size = 0;
		json->scratch_used = 0;
	}
}
