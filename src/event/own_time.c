/*
 * own_time.c
 *		The time that an event itself says it happened at.
 */
#include <stdio.h>
#include <string.h>

#include "event/own_time.h"
#include "event/when.h"

void
wt_decode_time_field(WtDecoder *decoder, const WtJson *json, const char *path)
{
	WtDecoded *decoded = &decoder->decoded;
	uint32_t i = decoded->event;
	char name[128];

	decoded->has_time = false;
	decoded->note[0] = '\0';
	for (const char *rest = path;;)
	{
		const char *dot;
		size_t n;

		if (wt_json_find(json, i, rest, &i))
		{
			wt_decode_time(decoder, &json->tokens[i]);
			return;
		}
		/* The longest name that is there: {"log.time": …} before {"log": {"time": …}}. */
		for (dot = rest + strlen(rest); dot > rest; dot--)
		{
			n = (size_t) (dot - rest);
			if (*dot != '.' || n >= sizeof(name))
				continue;
			memcpy(name, rest, n);
			name[n] = '\0';
			if (wt_json_find(json, i, name, &i))
				break;
		}
		if (dot == rest)
			break;
		rest = dot + 1;
	}
	snprintf(decoded->note, sizeof(decoded->note), "the event has no %s to be its time",
			 path);
}

void
wt_decode_time(WtDecoder *decoder, const WtJsonToken *t)
{
	WtDecoded *decoded = &decoder->decoded;

	decoded->has_time = wt_when_read(t, &decoded->time_us);
	if (decoded->has_time)
		return;
	if (t->type == WT_JSON_STRING || t->type == WT_JSON_NUMBER)
		snprintf(decoded->note, sizeof(decoded->note),
				 "the event's own time cannot be read: %.*s",
				 (int) (t->length < 60 ? t->length : 60), t->u.text);
	else
		snprintf(decoded->note, sizeof(decoded->note),
				 "the event's own time cannot be read");
}
