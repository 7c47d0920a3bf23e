/*
 * fields.h
 *		Members of an event's data, read where they lie: no tree is built, nothing is copied.
 *
 * What is handed out points into the datum.  Nothing here raises, whatever the event is.
 */
#ifndef WT_FIELDS_H
#define WT_FIELDS_H

#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* A name that is known beforehand; one with a dot is also that of a member of a member. */
typedef struct WtName
{
	const char *text;
	int length;
	int dot; /* the bytes before the first dot; 0: there is none */
} WtName;

#define WT_NAME(name)                                                                    \
	{                                                                                    \
		.text = (name), .length = sizeof(name) - 1                                       \
	}
#define WT_DOTTED(object, member)                                                        \
	{                                                                                    \
		.text = object "." member, .length = sizeof(object "." member) - 1,              \
		.dot = sizeof(object) - 1                                                        \
	}

/* An event: its row's data, taken apart as far as all have it. */
typedef struct WtFields
{
	JsonbContainer *data; /* NULL: it is no object, and nothing is found */
	bool has_json;
	JsonbValue json;		/* the event; if has_json */
	JsonbContainer *object; /* the event, if it is an object; else NULL */
	JsonbValue protocol;	/* a string, maybe empty */
} WtFields;

extern void wt_fields_open(WtFields *event, Jsonb *data);

/* Whether it came by the protocol of this name. */
extern bool wt_fields_by(const WtFields *event, const char *protocol);

/* The member of an object that may be NULL or an array, which have none. */
extern bool wt_field(JsonbContainer *object, const WtName *name, JsonbValue *value);
extern bool wt_field_of(JsonbContainer *object, const char *name, JsonbValue *value);

/* The member, if it is an object; else NULL. */
extern JsonbContainer *wt_field_object(JsonbContainer *object, const char *name);

/*
 * For the lists of what functions look at: adds the paths of members, beneath a path of keys
 * (which are separated by blanks; empty: of the document).
 */
extern List *wt_add_path(List *paths, const char *above, const char *name);
extern List *wt_add_names(List *paths, const char *above, const WtName *names, int n);

/* What windtrap.severity() looks at. */
extern List *wt_severity_members(void);
extern Datum windtrap_severity(PG_FUNCTION_ARGS);

/* Makes known to readers of sealed partitions what the functions of events look at. */
extern void wt_fields_make_known(void);

/* A value as an object; NULL: it is none. */
static inline JsonbContainer *
wt_value_object(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data)
			   ? value->val.binary.data
			   : NULL;
}

/* Whether a value is a text, and not an empty one. */
static inline bool
wt_value_is_text(const JsonbValue *value)
{
	return value->type == jbvString && value->val.string.len > 0;
}

#endif
