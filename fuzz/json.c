/*
 * json.c
 *		Fuzz target: text → tokens of a JSON value (src/event/json.h).
 *
 * Everything that the parser says is compared with a reader of RFC 8259 that is written
 * here, by recursion.  What it is allowed to say differently from the RFC, it must say of
 * exactly the texts for which json.h announces it (WT_JSON_UNFIT).  Each text is read twice:
 * as it is, and repaired.  Known differences:
 *
 *	- what is nested deeper than WT_JSON_MAX_DEPTH is skipped by its quotes and brackets
 *	  alone, so there UNFIT and BAD are not told apart;
 *	- WT_JSON_MAX_NUMBER_TEXT is beyond what a fuzzer's inputs reach.
 */
#include "fuzz.h"

typedef enum Verdict
{
	GOOD,
	UNFIT,
	BAD,
	DEEP /* nested too deep, and not read on */
} Verdict;

typedef struct Reader
{
	const char *p;
	const char *end;
	Verdict verdict;	/* GOOD or UNFIT, so far */
	bool repair;		/* U+FFFD for what is no character, in place of UNFIT */
	bool repaired;		/* there was some */
	const WtJson *json; /* to be compared with; NULL: none */
	uint32_t i;			/* the next token */
	char *string;		/* room for one unescaped string */
} Reader;

static Verdict read_value(Reader *r, int depth);

static bool
at(const Reader *r, char c)
{
	return r->p < r->end && *r->p == c;
}

static bool
take(Reader *r, char c)
{
	if (!at(r, c))
		return false;
	r->p++;
	return true;
}

static void
space(Reader *r)
{
	while (take(r, ' ') || take(r, '\t') || take(r, '\r') || take(r, '\n'))
		;
}

static size_t
digits(Reader *r)
{
	const char *from = r->p;

	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return (size_t) (r->p - from);
}

/* The next token must be of this type; its index. */
static uint32_t
expect(Reader *r, WtJsonType type)
{
	if (!r->json)
		return 0;
	CHECK(r->i < r->json->n_tokens, "a token is missing");
	CHECK(r->json->tokens[r->i].type == type, "token %u: type %u instead of %d", r->i,
		  r->json->tokens[r->i].type, (int) type);
	return r->i++;
}

static void
expect_text(Reader *r, WtJsonType type, const char *text, size_t length)
{
	uint32_t i = expect(r, type);

	if (r->json)
		CHECK(r->json->tokens[i].length == length &&
				  memcmp(r->json->tokens[i].u.text, text, length) == 0,
			  "token %u: \"%.*s\" instead of \"%.*s\"", i,
			  (int) r->json->tokens[i].length, r->json->tokens[i].u.text, (int) length,
			  text);
}

/* The four digits of a \u escape; -1: there are none. */
static long
hex4(const char *p, const char *end)
{
	char s[5] = {0};

	if (end - p < 4)
		return -1;
	memcpy(s, p, 4);
	return strspn(s, "0123456789abcdefABCDEF") == 4 ? strtol(s, NULL, 16) : -1;
}

static size_t
put_utf8(char *out, long c)
{
	if (c < 0x80)
	{
		out[0] = (char) c;
		return 1;
	}
	if (c < 0x800)
	{
		out[0] = (char) (0xC0 + c / 0x40);
		out[1] = (char) (0x80 + c % 0x40);
		return 2;
	}
	if (c < 0x10000)
	{
		out[0] = (char) (0xE0 + c / 0x1000);
		out[1] = (char) (0x80 + c / 0x40 % 0x40);
		out[2] = (char) (0x80 + c % 0x40);
		return 3;
	}
	out[0] = (char) (0xF0 + c / 0x40000);
	out[1] = (char) (0x80 + c / 0x1000 % 0x40);
	out[2] = (char) (0x80 + c / 0x40 % 0x40);
	out[3] = (char) (0x80 + c % 0x40);
	return 4;
}

/* Whether the n bytes could go on to be a character. */
static bool
is_beginning(const char *p, size_t n)
{
	for (size_t length = n + 1; length <= 4; length++)
		for (int next = 0x80; next < 0xC0; next++)
		{
			char character[4] = {'\x80', '\x80', '\x80', '\x80'};

			memcpy(character, p, n);
			character[n] = (char) next;
			if (utf8_character(character, length) == (int) length)
				return true;
		}
	return false;
}

/*
 * The bytes that one U+FFFD stands for, where no character begins: what Unicode calls the
 * maximal subpart.
 */
static size_t
broken_length(const char *p, const char *end)
{
	size_t n = 1;

	while (n < 3 && (size_t) (end - p) > n && is_beginning(p, n + 1))
		n++;
	return n;
}

/* What is in a string and is no character; gives the length of what stands for it. */
static size_t
put_broken(Reader *r, char *out)
{
	if (r->repair)
		r->repaired = true;
	else
		r->verdict = UNFIT;
	return put_utf8(out, 0xFFFD);
}

static Verdict
read_string(Reader *r)
{
	char *out = r->string;

	if (!take(r, '"'))
		return BAD;
	while (!at(r, '"'))
	{
		static const char escapes[] = "\"\\/bfnrt";
		static const char meanings[] = "\"\\/\b\f\n\r\t";
		const char *e;
		int n;
		long c;
		long low;

		if (r->p == r->end)
			return BAD;
		if (!at(r, '\\'))
		{
			n = utf8_character(r->p, (size_t) (r->end - r->p));
			if (n == 0)
			{
				out += put_broken(r, out);
				r->p += broken_length(r->p, r->end);
				continue;
			}
			if ((unsigned char) *r->p < 0x20)
				r->verdict = UNFIT;
			memcpy(out, r->p, (size_t) n);
			out += n;
			r->p += n;
			continue;
		}
		r->p++;
		if (r->p == r->end)
			return BAD;
		e = *r->p ? strchr(escapes, *r->p) : NULL;
		if (e)
		{
			*out++ = meanings[e - escapes];
			r->p++;
			continue;
		}
		if (!take(r, 'u') || (c = hex4(r->p, r->end)) < 0)
			return BAD;
		r->p += 4;
		if (c >= 0xD800 && c < 0xDC00 && r->end - r->p >= 2 && r->p[0] == '\\' &&
			r->p[1] == 'u' && (low = hex4(r->p + 2, r->end)) >= 0xDC00 && low < 0xE000)
		{
			r->p += 6;
			c = 0x10000 + (c - 0xD800) * 0x400 + (low - 0xDC00);
		}
		out +=
			c == 0 || (c >= 0xD800 && c < 0xE000) ? put_broken(r, out) : put_utf8(out, c);
	}
	r->p++;
	expect_text(r, WT_JSON_STRING, r->string, (size_t) (out - r->string));
	return GOOD;
}

static Verdict
read_number(Reader *r)
{
	const char *from = r->p;
	double before;
	double after = 0;

	take(r, '-');
	if (take(r, '0'))
	{
		before = 1;
		if (digits(r) > 0)
			return BAD;
	}
	else
	{
		before = (double) digits(r);
		if (before == 0)
			return BAD;
	}
	if (take(r, '.'))
	{
		after = (double) digits(r);
		if (after == 0)
			return BAD;
	}
	if (take(r, 'e') || take(r, 'E'))
	{
		const char *exponent = r->p;
		double e = 0;

		if (!take(r, '-'))
			take(r, '+');
		while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
			e = e * 10 + (*r->p++ - '0');
		if (r->p == exponent || r->p[-1] < '0')
			return BAD;
		if (*exponent == '-')
			e = -e;
		before += e;
		after -= e;
	}
	if (before > WT_JSON_MAX_DIGITS || after > WT_JSON_MAX_DIGITS)
		r->verdict = UNFIT;
	expect_text(r, WT_JSON_NUMBER, from, (size_t) (r->p - from));
	return GOOD;
}

static Verdict
read_word(Reader *r, const char *word, WtJsonType type)
{
	size_t n = strlen(word);

	if ((size_t) (r->end - r->p) < n || memcmp(r->p, word, n) != 0)
		return BAD;
	r->p += n;
	expect(r, type);
	return GOOD;
}

static Verdict
read_container(Reader *r, int depth)
{
	bool is_object = *r->p++ == '{';
	char close = is_object ? '}' : ']';
	uint32_t i = expect(r, is_object ? WT_JSON_OBJECT : WT_JSON_ARRAY);
	uint32_t n = 0;
	Verdict v;

	space(r);
	if (!at(r, close))
	{
		do
		{
			space(r);
			if (is_object)
			{
				if ((v = read_string(r)) != GOOD)
					return v;
				space(r);
				if (!take(r, ':'))
					return BAD;
			}
			if ((v = read_value(r, depth)) != GOOD)
				return v;
			n++;
			space(r);
		} while (take(r, ','));
	}
	if (!take(r, close))
		return BAD;
	if (r->json)
		CHECK(r->json->tokens[i].length == n && r->json->tokens[i].u.end == r->i,
			  "token %u: %u children up to %u instead of %u up to %u", i,
			  r->json->tokens[i].length, r->json->tokens[i].u.end, n, r->i);
	return GOOD;
}

/* GOOD here says that it has been read; whether it is fit is in r->verdict. */
static Verdict
read_value(Reader *r, int depth)
{
	space(r);
	if (r->p == r->end)
		return BAD;
	switch (*r->p)
	{
		case '{':
		case '[':
			return depth == WT_JSON_MAX_DEPTH ? DEEP : read_container(r, depth + 1);
		case '"':
			return read_string(r);
		case 't':
			return read_word(r, "true", WT_JSON_TRUE);
		case 'f':
			return read_word(r, "false", WT_JSON_FALSE);
		case 'n':
			return read_word(r, "null", WT_JSON_NULL);
		default:
			return read_number(r);
	}
}

/* One value, and where it ends. */
static Verdict
read_first(const char *text, size_t length, bool repair, const WtJson *json,
		   const char **next)
{
	Reader r = {.p = text, .end = text + length, .repair = repair, .json = json};
	Verdict v;

	/* An escape is longer than what it stands for, a byte that is no UTF-8 becomes three. */
	r.string = malloc(3 * length + 4);
	CHECK(r.string, "out of memory");
	v = read_value(&r, 0);
	free(r.string);
	if (v != GOOD)
		return v;
	CHECK(!json || r.i == json->n_tokens, "%u tokens too many", json->n_tokens - r.i);
	CHECK(!json || r.repaired == json->repaired, "repaired is %d", json->repaired);
	*next = r.p;
	return r.verdict;
}

static void
check_verdict(WtJsonResult r, Verdict v, const WtJsonError *error)
{
	switch (v)
	{
		case GOOD:
			CHECK(r == WT_JSON_OK, "good JSON gives %d: %s", (int) r, error->reason);
			break;
		case UNFIT:
			CHECK(r == WT_JSON_UNFIT, "unfit JSON gives %d", (int) r);
			break;
		case BAD:
			CHECK(r == WT_JSON_BAD, "what is not JSON gives %d", (int) r);
			break;
		case DEEP:
			CHECK(r == WT_JSON_UNFIT || r == WT_JSON_BAD, "deep nesting gives %d",
				  (int) r);
			break;
	}
}

static void
check_error(const WtJsonError *error, size_t length)
{
	CHECK(error->offset <= length, "an error at %zu of %zu", error->offset, length);
	CHECK(error->reason[0] != '\0' && strlen(error->reason) < sizeof(error->reason) &&
			  is_text(error->reason, strlen(error->reason)),
		  "no reason is told");
}

/* Line and column are those of the offset, counted by somebody else. */
static void
check_position(const char *text, size_t offset)
{
	int line = 1;
	int column = 1;
	int told_line;
	int told_column;

	for (size_t i = 0; i < offset; i++)
	{
		line += text[i] == '\n';
		column = text[i] == '\n' ? 1 : column + ((signed char) text[i] >= -64);
	}
	wt_json_position(text, offset, &told_line, &told_column);
	CHECK(line == told_line && column == told_column, "%d:%d instead of %d:%d", told_line,
		  told_column, line, column);
}

/*
 * The same value with a limit: as without one where it ends before the limit, too large
 * where it ends beyond; where it ends just there, either.
 */
static void
check_limit(const char *text, size_t length, size_t limit, bool repair,
			WtJsonResult whole, const char *whole_next)
{
	WtJson json = {.repair = repair};
	WtJsonError error = {0};
	const char *next = NULL;
	char *cut;
	size_t end;
	WtJsonResult r;

	/*
	 * length says how much there is, but nothing beyond limit is looked at: with a copy
	 * of that much the address sanitizer sees to it.
	 */
	cut = exact_copy(text, limit);
	r = wt_json_parse_value(&json, cut, length, limit, &next, &error);
	if (whole == WT_JSON_OK || whole == WT_JSON_UNFIT)
	{
		end = (size_t) (whole_next - text);
		if (end < limit)
			CHECK(r == whole && next == cut + end, "%d instead of %d, at a limit of %zu",
				  (int) r, (int) whole, limit);
		else if (end > limit)
			CHECK(r == WT_JSON_TOO_LARGE, "%d instead of too large, at a limit of %zu",
				  (int) r, limit);
		else
			CHECK(r == WT_JSON_TOO_LARGE || (r == whole && next == cut + end),
				  "%d instead of %d, just at the limit", (int) r, (int) whole);
	}
	else
		CHECK(r == WT_JSON_BAD || r == WT_JSON_TOO_LARGE, "%d at a limit of %zu", (int) r,
			  limit);
	if (r == WT_JSON_OK)
		check_tokens(&json, cut, limit, true);
	wt_json_shrink(&json, 0);
	free(cut);
}

static void
check_text(const char *text, size_t size, bool repair)
{
	WtJson json = {.repair = repair};
	WtJsonError error = {0};
	const char *next = NULL;
	const char *end = NULL;
	const char *skipped;
	WtJsonResult r;
	WtJsonResult whole;
	Verdict v;
	size_t limits[] = {0, 1, size / 2, 0, 0, 0, 0};

	/* The first value of the text. */
	r = wt_json_parse_value(&json, text, size, size, &next, &error);
	v = read_first(text, size, repair, NULL, &end);
	check_verdict(r, v, &error);
	if (r == WT_JSON_OK || r == WT_JSON_UNFIT)
	{
		CHECK(next > text && next <= text + size, "the value ends outside of the text");
		CHECK(v == DEEP || next == end, "the value ends at %zd instead of %zd",
			  next - text, end - text);
	}
	if (r != WT_JSON_OK)
	{
		check_error(&error, size);
		check_position(text, error.offset);
	}
	if (r == WT_JSON_OK)
	{
		check_tokens(&json, text, size, true);
		CHECK(json.scratch_used <= (json.repaired ? 3 : 1) * size,
			  "more scratch than text");
		read_first(text, size, repair, &json, &end);
		limits[3] = (size_t) (next - text);
		limits[4] = limits[3] - 1;
		limits[5] = limits[3] + 1;
	}
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (limits[i] < size)
			check_limit(text, size, limits[i], repair, r, next);

	/* Quotes and brackets alone must find the same end, where there is no doubt. */
	skipped = wt_json_skip_value(text, size);
	CHECK(!skipped || (skipped >= text && skipped <= text + size), "skipped beyond");
	if ((r == WT_JSON_OK || r == WT_JSON_UNFIT) &&
		(next[-1] == '}' || next[-1] == ']' || next[-1] == '"'))
		CHECK(skipped == next, "skipped to %zd instead of %zd",
			  skipped ? skipped - text : -1, next - text);

	/* The whole text, with the memory of the first value. */
	whole = wt_json_parse(&json, text, size, &error);
	if (v == GOOD || v == UNFIT)
	{
		while (end < text + size && memchr(" \t\r\n", *end, 4))
			end++;
		if (end < text + size)
			v = BAD;
	}
	check_verdict(whole, v, &error);
	if (whole != WT_JSON_OK)
		check_error(&error, size);
	else
		check_tokens(&json, text, size, true);
	wt_json_shrink(&json, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = exact_copy(data, size);

	check_text(text, size, false);
	check_text(text, size, true);
	free(text);
	return 0;
}
