/*
 * severity.c
 *		windtrap.severity(): how bad an event is, in one set of words, whatever its program
 *		calls it.
 *
 * The words are OpenTelemetry's.  What is not known for sure is null: 30 is pino's info and
 * Python's warning, and an error that is told as info is worse than one that is not told.
 *
 * docs/query.md has the names in their order, as they stand here.  The function is immutable and
 * used in indexes: a change here changes what these hold, and has to tell its users to reindex.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "base/severities.h"
#include "views/fields.h"

PG_FUNCTION_INFO_V1(windtrap_severity);

typedef WtSeverity Severity;

#define UNSAID WT_SEVERITY_NONE
#define IS_TRACE WT_SEVERITY_TRACE
#define IS_DEBUG WT_SEVERITY_DEBUG
#define IS_INFO WT_SEVERITY_INFO
#define IS_WARNING WT_SEVERITY_WARNING
#define IS_ERROR WT_SEVERITY_ERROR
#define IS_FATAL WT_SEVERITY_FATAL

/*
 * Words
 */

#define LONGEST_WORD 13 /* "informational" */

/* Syslog's alert and crit are OpenTelemetry's ERROR3 and ERROR2. */
static const struct
{
	const char *word;
	Severity severity;
} words[] = {
	{"info", IS_INFO},		  {"error", IS_ERROR},
	{"warn", IS_WARNING},	  {"warning", IS_WARNING},
	{"debug", IS_DEBUG},	  {"trace", IS_TRACE},
	{"fatal", IS_FATAL},	  {"critical", IS_FATAL},
	{"information", IS_INFO}, {"informational", IS_INFO},
	{"notice", IS_INFO},	  {"log", IS_INFO},
	{"http", IS_INFO},		  {"success", IS_INFO},
	{"err", IS_ERROR},		  {"severe", IS_ERROR},
	{"failure", IS_ERROR},	  {"fail", IS_ERROR},
	{"crit", IS_ERROR},		  {"alert", IS_ERROR},
	{"emerg", IS_FATAL},	  {"emergency", IS_FATAL},
	{"panic", IS_FATAL},	  {"dpanic", IS_FATAL},
	{"fine", IS_DEBUG},		  {"config", IS_DEBUG},
	{"dbug", IS_DEBUG},		  {"finer", IS_TRACE},
	{"finest", IS_TRACE},	  {"verbose", IS_TRACE},
	{"silly", IS_TRACE},	  {"trc", IS_TRACE},
	{"dbg", IS_DEBUG},		  {"inf", IS_INFO},
	{"wrn", IS_WARNING},	  {"ftl", IS_FATAL},
	{"i", IS_INFO},			  {"w", IS_WARNING},
	{"e", IS_ERROR},		  {"d", IS_DEBUG},
	{"t", IS_TRACE},		  {"f", IS_FATAL},
	{"c", IS_FATAL},
};

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Skips blanks, and the colours that consoles are given. */
static const char *
skip(const char *p, const char *end)
{
	while (p < end)
	{
		if (*p == ' ' || *p == '\t')
			p++;
		else if (*p == '\x1b' && p + 1 < end && p[1] == '[')
		{
			p += 2;
			while (p < end && !is_letter(*p))
				p++;
			p += p < end;
		}
		else
			break;
	}
	return p;
}

/* A word, and what may follow it: "INFO+2", "DEBUG1", "warn:". */
static Severity
of_word(const JsonbValue *value)
{
	const char *p;
	const char *end;
	char word[LONGEST_WORD];
	int n = 0;

	if (value->type != jbvString)
		return UNSAID;
	end = value->val.string.val + value->val.string.len;
	p = skip(value->val.string.val, end);
	while (p < end && is_letter(*p))
	{
		if (n == LONGEST_WORD)
			return UNSAID;
		word[n++] = *p++ | 0x20;
	}
	p = skip(p, end);
	if (p < end && (*p == '+' || *p == '-'))
		p++;
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	if (p < end && *p == ':')
		p++;
	if (n == 0 || skip(p, end) != end)
		return UNSAID;
	for (size_t i = 0; i < lengthof(words); i++)
		if (strncmp(words[i].word, word, n) == 0 && words[i].word[n] == '\0')
			return words[i].severity;
	return UNSAID;
}

/*
 * Numbers
 */

/* A whole number, which may stand in a string. */
static bool
as_number(const JsonbValue *value, int32 *number)
{
	if (value->type == jbvNumeric)
	{
		bool too_large = false;

		*number = numeric_int4_opt_error(value->val.numeric, &too_large);
		return !too_large;
	}
	if (value->type != jbvString || value->val.string.len < 1 ||
		value->val.string.len > 6)
		return false;
	*number = 0;
	for (int i = 0; i < value->val.string.len; i++)
	{
		char c = value->val.string.val[i];

		if (c < '0' || c > '9')
			return false;
		*number = *number * 10 + (c - '0');
	}
	return true;
}

static Severity
of_otlp(int32 n)
{
	return n >= 1 && n <= 24 ? (Severity) (IS_TRACE + (n - 1) / 4) : UNSAID;
}

static Severity
of_syslog(int32 n)
{
	static const Severity severities[] = {IS_FATAL,	  IS_ERROR, IS_ERROR, IS_ERROR,
										  IS_WARNING, IS_INFO,	IS_INFO,  IS_DEBUG};

	return n >= 0 && n <= 7 ? severities[n] : UNSAID;
}

/* Python's NOTSET is 0. */
static Severity
of_python(int32 n)
{
	if (n <= 0)
		return UNSAID;
	return n < 10	? IS_TRACE
		   : n < 20 ? IS_DEBUG
		   : n < 30 ? IS_INFO
		   : n < 40 ? IS_WARNING
		   : n < 50 ? IS_ERROR
					: IS_FATAL;
}

static Severity
of_pino(int32 n)
{
	return n < 20	? IS_TRACE
		   : n < 30 ? IS_DEBUG
		   : n < 40 ? IS_INFO
		   : n < 50 ? IS_WARNING
		   : n < 60 ? IS_ERROR
					: IS_FATAL;
}

static Severity
of_logback(int32 n)
{
	switch (n)
	{
		case 5000:
			return IS_TRACE;
		case 10000:
			return IS_DEBUG;
		case 20000:
			return IS_INFO;
		case 30000:
			return IS_WARNING;
		case 40000:
			return IS_ERROR;
		case 50000:
			return IS_FATAL;
		default:
			return UNSAID;
	}
}

static Severity
of_monolog(int32 n)
{
	switch (n)
	{
		case 100:
			return IS_DEBUG;
		case 200:
		case 250:
			return IS_INFO;
		case 300:
			return IS_WARNING;
		case 400:
			return IS_ERROR;
		case 500:
		case 550:
		case 600:
			return IS_FATAL;
		default:
			return UNSAID;
	}
}

static bool
has(JsonbContainer *object, const char *name)
{
	JsonbValue value;

	return wt_field_of(object, name, &value);
}

/* Whether the event is as pino and bunyan make them. */
static bool
is_of_pino(JsonbContainer *object)
{
	JsonbValue value;

	if (has(object, "levelno"))
		return false;
	return has(object, "msg") || has(object, "pid") ||
		   (wt_field_of(object, "time", &value) && value.type == jbvNumeric);
}

/* A number of the member `level`: whose it is, is told by itself and by what is beside it. */
static Severity
of_level(JsonbContainer *object, int32 n, bool is_gelf)
{
	Severity severity;

	if (is_gelf || (n <= 7 && has(object, "short_message")))
		return of_syslog(n);
	if ((severity = of_logback(n)) != UNSAID || (severity = of_monolog(n)) != UNSAID)
		return severity;
	if (n >= 10 && n <= 60 && is_of_pino(object))
		return of_pino(n);
	/* Of all who count so, nobody has less than fatal here. */
	return n == 60 && !has(object, "levelno") ? IS_FATAL : UNSAID;
}

/*
 * Members
 */

typedef enum Number
{
	NO_NUMBER,
	LEVEL,
	SEVERITY, /* syslog's, if there is a facility too */
	SYSLOG,
	PYTHON,
	LOGBACK,
	NO_LETTER /* no number, and no letter either: it may be that of an order */
} Number;

static const struct
{
	WtName name;
	Number number;
} members[] = {
	{WT_NAME("level"), LEVEL},
	{WT_NAME("severity"), SEVERITY},
	{WT_DOTTED("log", "level"), NO_NUMBER},
	{WT_NAME("log_level"), NO_NUMBER},
	{WT_NAME("levelname"), NO_NUMBER},
	{WT_NAME("lvl"), NO_NUMBER},
	{WT_NAME("loglevel"), NO_NUMBER},
	{WT_NAME("severity_text"), NO_NUMBER},
	{WT_NAME("severityText"), NO_NUMBER},
	{WT_NAME("@l"), NO_NUMBER},
	{WT_NAME("level_name"), NO_NUMBER},
	{WT_NAME("levelStr"), NO_NUMBER},
	{WT_NAME("error_severity"), NO_NUMBER}, /* PostgreSQL's jsonlog */
	{WT_NAME("PRIORITY"), SYSLOG},
	{WT_NAME("levelno"), PYTHON},
	{WT_NAME("level_value"), LOGBACK},
	{WT_NAME("status"), NO_LETTER}, /* Datadog's; a number is HTTP's */
};

/* The level as an object: log4js has {"level": 20000, "levelStr": …}, loguru {"name": …}. */
static Severity
of_level_object(JsonbContainer *level)
{
	JsonbValue value;
	Severity severity;
	int32 n;

	if ((wt_field_of(level, "name", &value) && (severity = of_word(&value)) != UNSAID) ||
		(wt_field_of(level, "levelStr", &value) &&
		 (severity = of_word(&value)) != UNSAID))
		return severity;
	return wt_field_of(level, "level", &value) && as_number(&value, &n) ? of_logback(n)
																		: UNSAID;
}

static Severity
of_number(JsonbContainer *object, Number kind, int32 n, bool is_gelf)
{
	switch (kind)
	{
		case LEVEL:
			return of_level(object, n, is_gelf);
		case SEVERITY:
			return has(object, "facility") ? of_syslog(n) : UNSAID;
		case SYSLOG:
			return of_syslog(n);
		case PYTHON:
			return of_python(n);
		case LOGBACK:
			return of_logback(n);
		case NO_NUMBER:
		case NO_LETTER:
			break;
	}
	return UNSAID;
}

static Severity
of_object(JsonbContainer *object, bool is_gelf)
{
	if (!object)
		return UNSAID;
	for (size_t i = 0; i < lengthof(members); i++)
	{
		Severity severity;
		JsonbValue value;
		int32 n;

		if (!wt_field(object, &members[i].name, &value))
			continue;
		if (members[i].number == NO_LETTER && value.type == jbvString &&
			value.val.string.len == 1)
			continue;
		severity = of_word(&value);
		if (severity == UNSAID && as_number(&value, &n))
			severity = of_number(object, members[i].number, n, is_gelf);
		if (severity == UNSAID && members[i].number == LEVEL)
			severity = of_level_object(wt_value_object(&value));
		if (severity != UNSAID)
			return severity;
	}
	/* Serilog's compact format leaves out what is information. */
	return has(object, "@t") && (has(object, "@mt") || has(object, "@m")) &&
				   !has(object, "@l")
			   ? IS_INFO
			   : UNSAID;
}

/* OpenTelemetry's record; one that a collector has read from a file may have it inside. */
static Severity
of_record(JsonbContainer *record)
{
	Severity severity;
	JsonbValue value;
	int32 n;

	if (wt_field_of(record, "severity_number", &value) && as_number(&value, &n) &&
		(severity = of_otlp(n)) != UNSAID)
		return severity;
	if (wt_field_of(record, "severity_text", &value) &&
		(severity = of_word(&value)) != UNSAID)
		return severity;
	if ((severity = of_object(wt_field_object(record, "attributes"), false)) != UNSAID)
		return severity;
	return of_object(wt_field_object(record, "body"), false);
}

static const char *const labelled[] = {"level", "severity", "detected_level"};

static Severity
of_labels(JsonbContainer *labels)
{
	Severity severity;
	JsonbValue value;

	for (size_t i = 0; i < lengthof(labelled); i++)
		if (wt_field_of(labels, labelled[i], &value) &&
			(severity = of_word(&value)) != UNSAID)
			return severity;
	return UNSAID;
}

static Severity
of_event(const WtFields *event)
{
	Severity severity;
	JsonbContainer *loki;
	JsonbValue value;

	if (wt_fields_by(event, "otlp") && (severity = of_record(event->object)) != UNSAID)
		return severity;
	if ((severity = of_object(event->object, wt_fields_by(event, "gelf"))) != UNSAID)
		return severity;
	/* Docker's driver for Splunk puts what a container has written into `line`. */
	if ((severity = of_object(wt_field_object(event->object, "line"), false)) != UNSAID)
		return severity;
	/* loguru */
	if ((severity = of_object(wt_field_object(event->object, "record"), false)) != UNSAID)
		return severity;
	/* What windtrap.emit() was told, of an event that says nothing itself. */
	if (wt_fields_by(event, "emit") &&
		wt_field_of(wt_field_object(event->data, "emit"), "severity", &value) &&
		(severity = of_word(&value)) != UNSAID)
		return severity;
	loki = wt_field_object(event->data, "loki");
	if ((severity = of_labels(wt_field_object(loki, "labels"))) != UNSAID)
		return severity;
	return of_labels(wt_field_object(loki, "metadata"));
}

/* windtrap.severity(data jsonb) → text: null where nothing says it */
Datum
windtrap_severity(PG_FUNCTION_ARGS)
{
	WtFields event;
	Severity severity;

	wt_fields_open(&event, PG_GETARG_JSONB_P(0));
	severity = of_event(&event);
	if (severity == UNSAID)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(wt_severity_names[severity]));
}

/*
 * What is looked at: see fields.c
 */

/* By of_object(). */
static List *
add_object(List *paths, const char *above)
{
	static const char *const beside[] = {
		"levelno",	"msg", "pid", "time", "short_message",
		"facility", "@t",  "@mt", "@m",	  "@l"};

	for (size_t i = 0; i < lengthof(members); i++)
		paths = wt_add_names(paths, above, &members[i].name, 1);
	for (size_t i = 0; i < lengthof(beside); i++)
		paths = wt_add_path(paths, above, beside[i]);
	return paths;
}

List *
wt_severity_members(void)
{
	List *paths = wt_add_path(NIL, "", "protocol");

	paths = add_object(paths, "json");
	paths = wt_add_path(paths, "json", "severity_number");
	paths = wt_add_path(paths, "json", "severity_text");
	paths = add_object(paths, "json attributes");
	paths = add_object(paths, "json body");
	paths = add_object(paths, "json line");
	paths = add_object(paths, "json record");
	paths = wt_add_path(paths, "emit", "severity");
	for (size_t i = 0; i < lengthof(labelled); i++)
	{
		paths = wt_add_path(paths, "loki labels", labelled[i]);
		paths = wt_add_path(paths, "loki metadata", labelled[i]);
	}
	return paths;
}
