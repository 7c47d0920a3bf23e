/*
 * fields.c
 *		windtrap.message(), windtrap.app() and windtrap.sender_host(): what every event has,
 *		whatever protocol it came by and whatever its program calls it.
 *
 * docs/query.md has the names in their order, as they stand here; severity.c has the severity.
 * The functions are immutable and used in indexes: a change here changes what these hold, and
 * has to tell its users to reindex.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "sealed/needs.h"
#include "views/fields.h"

PG_FUNCTION_INFO_V1(windtrap_message);
PG_FUNCTION_INFO_V1(windtrap_app);
PG_FUNCTION_INFO_V1(windtrap_sender_host);

/* What app and host are cut to, bytes: longer ones are none, and no b-tree would take them. */
#define MAX_LABEL 255

/* How deep a message is looked for: {"line": {"message": {"text": …}}}. */
#define MAX_DEPTH 3

/*
 * Reading
 */

static bool
find(JsonbContainer *object, const char *name, int length, JsonbValue *value)
{
	return object && JsonContainerIsObject(object) &&
		   getKeyJsonValueFromContainer(object, name, length, value) != NULL;
}

bool
wt_field_of(JsonbContainer *object, const char *name, JsonbValue *value)
{
	return find(object, name, (int) strlen(name), value);
}

bool
wt_field(JsonbContainer *object, const WtName *name, JsonbValue *value)
{
	JsonbValue outer;

	if (find(object, name->text, name->length, value))
		return true;
	return name->dot > 0 && find(object, name->text, name->dot, &outer) &&
		   find(wt_value_object(&outer), name->text + name->dot + 1,
				name->length - name->dot - 1, value);
}

JsonbContainer *
wt_field_object(JsonbContainer *object, const char *name)
{
	JsonbValue value;

	return wt_field_of(object, name, &value) ? wt_value_object(&value) : NULL;
}

void
wt_fields_open(WtFields *event, Jsonb *data)
{
	memset(event, 0, sizeof(*event));
	event->protocol.type = jbvString;
	if (!JB_ROOT_IS_OBJECT(data))
		return;
	event->data = &data->root;
	event->has_json = wt_field_of(event->data, "json", &event->json);
	if (event->has_json)
		event->object = wt_value_object(&event->json);
	if (!wt_field_of(event->data, "protocol", &event->protocol) ||
		event->protocol.type != jbvString)
	{
		event->protocol.type = jbvString;
		event->protocol.val.string.len = 0;
	}
}

bool
wt_fields_by(const WtFields *event, const char *protocol)
{
	return event->protocol.val.string.len == (int) strlen(protocol) &&
		   memcmp(event->protocol.val.string.val, protocol, strlen(protocol)) == 0;
}

/* The attributes of the resource that an event of OpenTelemetry's is of. */
static JsonbContainer *
resource_of(const WtFields *event)
{
	return wt_field_object(
		wt_field_object(wt_field_object(event->data, "otlp"), "resource"), "attributes");
}

/* The first of these members that is a text. */
static bool
first_text(JsonbContainer *object, const WtName *names, int n, JsonbValue *value)
{
	if (!object)
		return false;
	for (int i = 0; i < n; i++)
		if (wt_field(object, &names[i], value) && wt_value_is_text(value))
			return true;
	return false;
}

#define FIRST_TEXT(object, names, value) first_text(object, names, lengthof(names), value)

/* A text of the row itself. */
static bool
own_text(const WtFields *event, const char *name, JsonbValue *value)
{
	return wt_field_of(event->data, name, value) && wt_value_is_text(value);
}

/*
 * Giving
 */

static text *
as_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return cstring_to_text_with_len(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return cstring_to_text(DatumGetCString(
				DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric))));
		case jbvBool:
			return cstring_to_text(value->val.boolean ? "true" : "false");
		case jbvBinary:
			return cstring_to_text(
				JsonbToCString(NULL, value->val.binary.data, value->val.binary.len));
		default:
			return cstring_to_text("null");
	}
}

static text *
as_label(const JsonbValue *value)
{
	const char *string = value->val.string.val;
	int length = value->val.string.len;

	if (length > MAX_LABEL)
		length = pg_mbcliplen(string, length, MAX_LABEL);
	return cstring_to_text_with_len(string, length);
}

/*
 * The message
 */

typedef enum Take
{
	TAKE_TEXT,	 /* a text, and nothing else: other things are called so too */
	TAKE_INSIDE, /* or, of an object, the message in it */
	TAKE_OBJECT	 /* or, where there is none in it, its JSON */
} Take;

static const struct
{
	WtName name;
	Take take;
} messages[] = {
	{WT_NAME("message"), TAKE_OBJECT},
	{WT_NAME("msg"), TAKE_OBJECT},
	{WT_NAME("MESSAGE"), TAKE_OBJECT},
	{WT_NAME("short_message"), TAKE_TEXT},
	{WT_NAME("body"), TAKE_TEXT},
	{WT_NAME("record"), TAKE_INSIDE}, /* loguru: its text repeats time and severity */
	{WT_NAME("event"), TAKE_INSIDE},
	{WT_NAME("text"), TAKE_TEXT},
	{WT_NAME("log"), TAKE_INSIDE},
	{WT_NAME("line"), TAKE_OBJECT}, /* Docker's; of others the number of a line */
	{WT_DOTTED("error", "message"), TAKE_TEXT},
	{WT_DOTTED("err", "message"), TAKE_TEXT},
	{WT_NAME("@m"), TAKE_TEXT},
	{WT_NAME("@mt"), TAKE_TEXT},
};

/* The message in an object; `depth` is that of the object in the event. */
static bool
find_message(JsonbContainer *object, int depth, JsonbValue *value)
{
	if (!object || depth >= MAX_DEPTH)
		return false;
	for (size_t i = 0; i < lengthof(messages); i++)
	{
		Take take = messages[i].take;
		JsonbValue inner;

		if (!wt_field(object, &messages[i].name, value))
			continue;
		if (wt_value_is_text(value))
			return true;
		if (take < TAKE_INSIDE || value->type != jbvBinary)
			continue;
		if (find_message(wt_value_object(value), depth + 1, &inner))
		{
			*value = inner;
			return true;
		}
		if (take == TAKE_OBJECT)
			return true;
	}
	return false;
}

/* OpenTelemetry's record has its text in the body, which may be anything. */
static bool
find_body(const WtFields *event, JsonbValue *value)
{
	static const WtName exception = WT_NAME("exception.message");

	if (!wt_fields_by(event, "otlp"))
		return false;
	if (wt_field_of(event->object, "body", value) &&
		(wt_value_is_text(value) || (value->type != jbvNull && value->type != jbvString)))
		return true;
	if (wt_field(wt_field_object(event->object, "attributes"), &exception, value) &&
		wt_value_is_text(value))
		return true;
	return wt_field_of(event->object, "event_name", value) && wt_value_is_text(value);
}

/* windtrap.message(data jsonb) → text: null where there is no event */
Datum
windtrap_message(PG_FUNCTION_ARGS)
{
	WtFields event;
	JsonbValue value;

	wt_fields_open(&event, PG_GETARG_JSONB_P(0));
	if (!event.has_json)
	{
		/* What is in quarantine has what was sent in its place. */
		if (wt_field_of(event.data, "raw", &value) && value.type == jbvString)
			PG_RETURN_TEXT_P(as_text(&value));
		PG_RETURN_NULL();
	}
	if (find_body(&event, &value) || find_message(event.object, 0, &value))
		PG_RETURN_TEXT_P(as_text(&value));
	PG_RETURN_TEXT_P(as_text(&event.json));
}

/*
 * The application
 */

static const WtName resource_apps[] = {WT_NAME("service.name")};

static const WtName label_apps[] = {
	WT_NAME("app"),			WT_NAME("service"), WT_NAME("service_name"),
	WT_NAME("application"), WT_NAME("job"),		WT_NAME("container"),
};

static const WtName apps[] = {
	WT_DOTTED("service", "name"),
	WT_NAME("service"),
	WT_DOTTED("app", "name"),
	WT_NAME("app"),
	WT_DOTTED("application", "name"),
	WT_NAME("application"),
	WT_NAME("app_name"),
	WT_NAME("appname"),
	WT_NAME("program"),
	WT_NAME("programname"),
	WT_NAME("PROGRAM"),
	WT_NAME("SYSLOG_IDENTIFIER"),
	WT_NAME("_SYSTEMD_UNIT"),
	WT_NAME("_COMM"),
	WT_NAME("_app"),
	WT_NAME("_application"),
	WT_NAME("_service"),
	WT_DOTTED("kubernetes", "container_name"),
	WT_NAME("container_name"),
};

/* A name is a logger's where the event is a logger's; otherwise it may be a person's. */
static const WtName of_loggers[] = {
	WT_NAME("level"),	 WT_NAME("levelname"), WT_NAME("levelno"),
	WT_NAME("severity"), WT_NAME("pid"),
};

static const WtName loggers[] = {
	WT_NAME("logger"),			WT_NAME("logger_name"),	 WT_NAME("loggerName"),
	WT_DOTTED("log", "logger"), WT_NAME("_logger_name"), WT_NAME("_logger"),
	WT_NAME("channel"),
};

static const WtName hec_sources[] = {WT_NAME("source"), WT_NAME("sourcetype")};

/* With the process's id, as in "shop[77]:". */
static const WtName tags[] = {WT_NAME("tag"), WT_NAME("syslogtag")};

static bool
is_of_logger(JsonbContainer *object)
{
	JsonbValue value;

	for (size_t i = 0; i < lengthof(of_loggers); i++)
		if (wt_field(object, &of_loggers[i], &value))
			return true;
	return false;
}

static void
cut_tag(JsonbValue *value)
{
	for (int i = 1; i < value->val.string.len; i++)
		if (value->val.string.val[i] == '[' || value->val.string.val[i] == ':')
			value->val.string.len = i;
}

static bool
find_app(const WtFields *event, JsonbValue *value)
{
	JsonbContainer *object = event->object;

	if (FIRST_TEXT(resource_of(event), resource_apps, value) ||
		FIRST_TEXT(wt_field_object(wt_field_object(event->data, "loki"), "labels"),
				   label_apps, value) ||
		FIRST_TEXT(object, apps, value))
		return true;
	/* Of others it is a part of the system, as "user". */
	if (wt_fields_by(event, "gelf") && wt_field_of(object, "facility", value) &&
		wt_value_is_text(value))
		return true;
	if (wt_field_of(object, "name", value) && wt_value_is_text(value) &&
		is_of_logger(object))
		return true;
	if (FIRST_TEXT(object, loggers, value) ||
		FIRST_TEXT(wt_field_object(event->data, "hec"), hec_sources, value))
		return true;
	if (FIRST_TEXT(object, tags, value))
	{
		cut_tag(value);
		return true;
	}
	if (wt_field_of(wt_field_object(event->data, "cloudevents"), "source", value) &&
		wt_value_is_text(value))
		return true;
	return own_text(event, "source", value);
}

/* windtrap.app(data jsonb) → text: null where nothing says it */
Datum
windtrap_app(PG_FUNCTION_ARGS)
{
	WtFields event;
	JsonbValue value;

	wt_fields_open(&event, PG_GETARG_JSONB_P(0));
	if (!find_app(&event, &value))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(as_label(&value));
}

/*
 * The host
 */

static const WtName resource_hosts[] = {WT_NAME("host.name")};

static const WtName label_hosts[] = {
	WT_NAME("host"), WT_NAME("hostname"), WT_NAME("instance"),
	WT_NAME("node"), WT_NAME("pod"),
};

static const WtName hec_hosts[] = {WT_NAME("host")};

static const WtName hosts[] = {
	WT_DOTTED("host", "name"),
	WT_NAME("host"),
	WT_NAME("hostname"),
	WT_NAME("_HOSTNAME"),
	WT_NAME("HOST"),
	WT_NAME("HOSTNAME"),
	WT_DOTTED("agent", "hostname"),
	WT_DOTTED("kubernetes", "host"),
};

/* windtrap.sender_host(data jsonb) → text: null where nothing says it */
Datum
windtrap_sender_host(PG_FUNCTION_ARGS)
{
	WtFields event;
	JsonbValue value;

	wt_fields_open(&event, PG_GETARG_JSONB_P(0));
	if (!FIRST_TEXT(resource_of(&event), resource_hosts, &value) &&
		!FIRST_TEXT(wt_field_object(wt_field_object(event.data, "loki"), "labels"),
					label_hosts, &value) &&
		!FIRST_TEXT(wt_field_object(event.data, "hec"), hec_hosts, &value) &&
		!FIRST_TEXT(event.object, hosts, &value) && !own_text(&event, "ip", &value))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(as_label(&value));
}

/*
 * What is looked at
 *
 * Whoever has a function look at a member more has to name it here: documents of sealed
 * partitions are made without the others.  windtrap.message() may look at all of an event.
 */

List *
wt_add_path(List *paths, const char *above, const char *name)
{
	List *path = NIL;

	while (*above != '\0')
	{
		int length = (int) strcspn(above, " ");

		path = lappend(path, makeString(pnstrdup(above, length)));
		above += length + (above[length] == ' ');
	}
	return lappend(paths, lappend(path, makeString(pstrdup(name))));
}

List *
wt_add_names(List *paths, const char *above, const WtName *added, int n)
{
	for (int i = 0; i < n; i++)
	{
		paths = wt_add_path(paths, above, added[i].text);
		if (added[i].dot > 0)
			paths = wt_add_path(paths,
								psprintf("%s%s%.*s", above, *above ? " " : "",
										 added[i].dot, added[i].text),
								added[i].text + added[i].dot + 1);
	}
	return paths;
}

#define ADD_NAMES(paths, above, names) wt_add_names(paths, above, names, lengthof(names))

static List *
app_members(void)
{
	List *paths = wt_add_path(NIL, "", "protocol");

	paths = ADD_NAMES(paths, "otlp resource attributes", resource_apps);
	paths = ADD_NAMES(paths, "loki labels", label_apps);
	paths = ADD_NAMES(paths, "json", apps);
	paths = wt_add_path(paths, "json", "facility");
	paths = wt_add_path(paths, "json", "name");
	paths = ADD_NAMES(paths, "json", of_loggers);
	paths = ADD_NAMES(paths, "json", loggers);
	paths = ADD_NAMES(paths, "hec", hec_sources);
	paths = ADD_NAMES(paths, "json", tags);
	paths = wt_add_path(paths, "cloudevents", "source");
	return wt_add_path(paths, "", "source");
}

static List *
host_members(void)
{
	List *paths = ADD_NAMES(NIL, "otlp resource attributes", resource_hosts);

	paths = ADD_NAMES(paths, "loki labels", label_hosts);
	paths = ADD_NAMES(paths, "hec", hec_hosts);
	paths = ADD_NAMES(paths, "json", hosts);
	return wt_add_path(paths, "", "ip");
}

void
wt_fields_make_known(void)
{
	wt_needs_know(windtrap_severity, wt_severity_members);
	wt_needs_know(windtrap_app, app_members);
	wt_needs_know(windtrap_sender_host, host_members);
}
