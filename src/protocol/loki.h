/*
 * loki.h
 *		What the two formats of Loki's pushes, JSON and protobuf, share; nobody else includes it.
 *
 * Words:
 *	stream		lines with the same labels
 *	entry		a line with its time, and metadata of its own
 */
#ifndef WT_LOKI_H
#define WT_LOKI_H

#include "event/json_build.h"
#include "event/json_walk.h"
#include "protocol/protocol.h"

/* Where the decoder is; lies in WtDecoder's state. */
typedef struct WtLokiState
{
	WtJsonText streams; /* what of them is still to come */
	WtJsonText entries; /* of the current stream */
	WtJsonText labels;	/* of the current stream, as they were sent */
	bool begun;
	bool old_form; /* of JSON: {"labels":"…","entries":[{"ts":…,"line":…}]} */
	bool
		same_context; /* the last event had the labels of this stream, and nothing else */
} WtLokiState;

typedef struct WtLokiEntry
{
	WtJsonText raw;
	WtJsonText line;	 /* of JSON: with its quotes */
	WtJsonText time;	 /* of JSON: as it was sent */
	WtJsonText metadata; /* its text is NULL where there is none */
	bool has_time;		 /* of protobuf */
	int64_t time_us;
} WtLokiEntry;

typedef enum WtLokiResult
{
	WT_LOKI_ENTRY,
	WT_LOKI_BAD_ENTRY, /* entry->raw is none */
	WT_LOKI_END,
	WT_LOKI_BROKEN /* what follows cannot be read */
} WtLokiResult;

/* A format. */
typedef struct WtLokiFormat
{
	/* Begins with the body; false: it is not of this format. */
	bool (*begin)(WtLokiState *state, const char *body, size_t length);

	/* The next entry, of whichever stream. */
	WtLokiResult (*next)(WtLokiState *state, WtLokiEntry *entry);

	/*
	 * Add the line as a value, the labels of the stream and the metadata of the entry.  False:
	 * what was sent is none; nothing was added.
	 */
	bool (*add_line)(WtBuild *build, const WtLokiEntry *entry);
	bool (*add_labels)(WtBuild *build, const WtLokiState *state);
	bool (*add_metadata)(WtBuild *build, const WtLokiEntry *entry);
} WtLokiFormat;

extern const WtLokiFormat wt_loki_json;
extern const WtLokiFormat wt_loki_protobuf;

/*
 * Adds labels as they are written in text, {a="b", c="d"}, as an object; false: that is not what
 * they are, and nothing was added.
 */
extern bool wt_loki_add_labels(WtBuild *build, const char *text, size_t length);

#endif
