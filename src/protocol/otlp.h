/*
 * otlp.h
 *		What the two encodings of OTLP's logs share: a walk through a request, and which members
 *		its messages have.
 *
 * A request is ResourceLogs, each of a resource and ScopeLogs, each of a scope and records.
 */
#ifndef WT_OTLP_H
#define WT_OTLP_H

#include "event/decode.h"
#include "event/json_build.h"
#include "event/json_walk.h"

/* What is still to come of a message or array. */
typedef struct WtOtlpRest
{
	const char *next;
	const char *end;
} WtOtlpRest;

typedef struct WtOtlpFormat WtOtlpFormat;

/* What surrounds the records that come now, and whether that has been built. */
typedef enum WtOtlpContext
{
	WT_OTLP_CONTEXT_NEW,
	WT_OTLP_CONTEXT_BUILT,
	WT_OTLP_CONTEXT_EMPTY,
	WT_OTLP_CONTEXT_TOO_DEEP,
	WT_OTLP_CONTEXT_UNFIT,
	WT_OTLP_CONTEXT_TOO_LARGE
} WtOtlpContext;

/* Where decoding is; all zeros before it begins, and no more than a decoder's state. */
typedef struct WtOtlpState
{
	const WtOtlpFormat *format;
	WtOtlpRest resource_logs;
	WtOtlpRest scope_logs;
	WtOtlpRest records;
	WtJsonText resource; /* as it was sent; text is NULL: there is none */
	WtJsonText resource_schema;
	WtJsonText scope;
	WtJsonText scope_schema;
	size_t surrounding; /* bytes that surrounded records, counted for each of them */
	WtOtlpContext context;
} WtOtlpState;

typedef enum WtOtlpResult
{
	WT_OTLP_FOUND,
	WT_OTLP_NONE,
	WT_OTLP_BROKEN, /* this is not of the format */
	WT_OTLP_UNFIT	/* it is, and cannot be stored */
} WtOtlpResult;

/* A record's own times, as it says them; 0: it does not. */
typedef struct WtOtlpTimes
{
	uint64_t time;	   /* ns since 1970 */
	uint64_t observed; /* likewise */
	uint32_t
		unreadable; /* the token of a time that is no such number; 0: there is none */
} WtOtlpTimes;

struct WtOtlpFormat
{
	/* Begins with a body; false: it is none of this format. */
	bool (*begin)(WtOtlpState *state, const char *body, size_t length);

	/* Goes on to the next ResourceLogs, to the next ScopeLogs in that, to the next record. */
	WtOtlpResult (*next_resource)(WtOtlpState *state);
	WtOtlpResult (*next_scope)(WtOtlpState *state);
	WtOtlpResult (*next_record)(WtOtlpState *state, WtJsonText *record);

	/*
	 * Adds an object to build, which has none open: what surrounds the records that come now,
	 * {"resource":{...},"scope":{...}}, or a record.  *token is the object.  Whether memory or
	 * levels were wanting, build says.
	 */
	WtOtlpResult (*build_context)(WtBuild *build, const WtOtlpState *state,
								  uint32_t *token);
	WtOtlpResult (*build_record)(WtBuild *build, WtJsonText record, uint32_t *token,
								 WtOtlpTimes *times);
};

extern const WtOtlpFormat wt_otlp_protobuf;
extern const WtOtlpFormat wt_otlp_json;

/* What a member of a message is. */
typedef enum WtOtlpKind
{
	WT_OTLP_TIME,		/* ns since 1970; fixed64 */
	WT_OTLP_OBSERVED,	/* likewise */
	WT_OTLP_ENUM,		/* int32 */
	WT_OTLP_COUNT,		/* uint32 */
	WT_OTLP_FLAGS,		/* fixed32 */
	WT_OTLP_TEXT,		/* string */
	WT_OTLP_ID,			/* bytes, which JSON has in hexadecimal */
	WT_OTLP_VALUE,		/* AnyValue */
	WT_OTLP_ATTRIBUTES, /* KeyValues */
	WT_OTLP_TEXTS,		/* strings */
	WT_OTLP_ENTITIES	/* EntityRefs */
} WtOtlpKind;

typedef struct WtOtlpMember
{
	uint32_t number; /* in protobuf */
	WtOtlpKind kind;
	const char *camel; /* in JSON */
	const char *snake; /* in JSON as well, and in what is stored */
} WtOtlpMember;

/* Their members, until number is 0.  What is 0 or empty is what is not there. */
extern const WtOtlpMember wt_otlp_record[];
extern const WtOtlpMember wt_otlp_resource[];
extern const WtOtlpMember wt_otlp_scope[];
extern const WtOtlpMember wt_otlp_entity[];

/* Decodes the next record of a body, as WtDecodeNext has it. */
extern WtDecodeResult wt_otlp_next(WtDecoder *decoder, WtJson *json);

/* Whether a request's type names this format, in whatever way: "application/json; charset=utf-8". */
extern bool wt_otlp_type_names(const WtRequest *request, const char *format);

#endif
