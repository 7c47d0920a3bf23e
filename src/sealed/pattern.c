/*
 * pattern.c
 *		Matches patterns of LIKE and ILIKE by bytes.
 *
 * Bytes are characters' business only where no character's bytes can begin within another's: in
 * UTF-8 and in encodings of one byte.  ILIKE folds case as the collation says; here only texts of
 * ASCII are looked at, under collations that fold ASCII letter by letter.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "sealed/pattern.h"

static inline char
folded(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static bool
is_ascii(const char *text, size_t length)
{
	unsigned char bits = 0;

	for (size_t i = 0; i < length; i++)
		bits |= (unsigned char) text[i];
	return bits < 0x80;
}

/* Whether a collation makes of A to Z just a to z.  (Turkish ones do not.) */
static bool
folds_plainly(Oid collation)
{
	static const char *const upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char *plain = str_tolower(upper, strlen(upper), collation);

	return strcmp(plain, "abcdefghijklmnopqrstuvwxyz") == 0;
}

/* The longest piece of a pattern without wildcards. */
static void
find_literal(WtPattern *p, const char *text, size_t length)
{
	size_t wildcards = 0, others = 0;

	for (size_t i = 0; i < length;)
	{
		size_t begin = i;

		while (i < length && text[i] != '%' && text[i] != '_')
			i++;
		if (i - begin > p->length)
		{
			p->literal = text + begin;
			p->length = i - begin;
		}
		others += i > begin;
		wildcards += i < length;
		i++;
	}
	if (wildcards == 0)
		p->kind = WT_PATTERN_EXACT;
	else if (memchr(text, '_', length) != NULL || others > 1)
		p->kind = p->length > 0 ? WT_PATTERN_OTHER : WT_PATTERN_UNKNOWN;
	else if (others == 0)
		p->kind = WT_PATTERN_ALL;
	else if (text[0] != '%')
		p->kind = WT_PATTERN_PREFIX;
	else
		p->kind = text[length - 1] != '%' ? WT_PATTERN_SUFFIX : WT_PATTERN_WITHIN;
}

void
wt_pattern_make(WtPattern *p, const char *text, size_t length, bool any_case,
				Oid collation)
{
	char *copy, *as_template;

	memset(p, 0, sizeof(*p));
	p->any_case = any_case;
	p->literal = text;
	if (!OidIsValid(collation) || !get_collation_isdeterministic(collation) ||
		(GetDatabaseEncoding() != PG_UTF8 && pg_database_encoding_max_length() > 1) ||
		(length > 0 && memchr(text, '\\', length) != NULL))
		return;
	if (any_case && (!is_ascii(text, length) || !folds_plainly(collation)))
		return;
	copy = palloc(length + 1);
	for (size_t i = 0; i < length; i++)
		copy[i] = any_case ? folded(text[i]) : text[i];
	copy[length] = '\0';
	p->literal = copy;
	find_literal(p, copy, length);
	p->as_template = as_template = palloc(p->length + 1);
	for (size_t i = 0; i < p->length; i++)
	{
		bool digit = p->literal[i] >= '0' && p->literal[i] <= '9';

		p->has_digits |= digit;
		if (!digit || i == 0 || p->literal[i - 1] < '0' || p->literal[i - 1] > '9')
			as_template[p->template_length++] = digit ? WT_TEMPLATE_GAP : p->literal[i];
	}
}

static inline bool
same(const char *text, const char *literal, size_t length, bool any_case)
{
	if (!any_case)
		return memcmp(text, literal, length) == 0;
	for (size_t i = 0; i < length; i++)
		if (folded(text[i]) != literal[i])
			return false;
	return true;
}

static bool
contains(const char *text, size_t length, const char *literal, size_t literal_length,
		 bool any_case)
{
	if (!any_case)
		return memmem(text, length, literal, literal_length) != NULL;
	for (size_t i = 0; i + literal_length <= length; i++)
		if (folded(text[i]) == literal[0] &&
			same(text + i, literal, literal_length, true))
			return true;
	return false;
}

static WtVerdict
match(const WtPattern *p, const char *literal, size_t n, const char *text, size_t length)
{
	bool found;

	/* What ILIKE makes of other letters may be ASCII: a Kelvin sign is a k. */
	if (p->any_case && !is_ascii(text, length))
		return WT_UNKNOWN;
	switch (p->kind)
	{
		case WT_PATTERN_ALL:
			return WT_TRUE;
		case WT_PATTERN_EXACT:
			found = length == n && same(text, literal, n, p->any_case);
			break;
		case WT_PATTERN_PREFIX:
			found = length >= n && same(text, literal, n, p->any_case);
			break;
		case WT_PATTERN_SUFFIX:
			found = length >= n && same(text + length - n, literal, n, p->any_case);
			break;
		case WT_PATTERN_WITHIN:
			found = contains(text, length, literal, n, p->any_case);
			break;
		case WT_PATTERN_OTHER:
			return contains(text, length, literal, n, p->any_case) ? WT_UNKNOWN
																   : WT_FALSE;
		default:
			return WT_UNKNOWN;
	}
	return found ? WT_TRUE : WT_FALSE;
}

WtVerdict
wt_pattern_match(const WtPattern *p, const char *text, size_t length)
{
	return match(p, p->literal, p->length, text, length);
}

/* Finds a literal in all texts by one search over all their bytes. */
static void
search_all(const char *bytes, const WtTexts *texts, const char *literal, size_t n,
		   WtVerdict found, uint8 *verdicts)
{
	const char *end = bytes + texts->start[texts->n], *at = bytes;

	memset(verdicts, WT_FALSE, texts->n);
	for (int i = 0; i < texts->n && (at = memmem(at, end - at, literal, n)) != NULL;)
	{
		/* The text that it is in: mostly not the next one, so the way there is halved. */
		uint32 place = at - bytes;
		int low = i, high = texts->n;

		while (high - low > 1)
		{
			int middle = low + (high - low) / 2;

			if (texts->start[middle] <= place)
				low = middle;
			else
				high = middle;
		}
		verdicts[low] = found;
		i = low + 1;
		at = bytes + texts->start[i];
	}
}

void
wt_pattern_match_all(const WtPattern *p, const WtTexts *texts, bool templates,
					 uint8 *verdicts)
{
	const char *literal = templates ? p->as_template : p->literal;
	size_t n = templates ? p->template_length : p->length;
	bool digits = templates && p->has_digits;
	size_t all = texts->n > 0 ? texts->start[texts->n] : 0;

	if (p->kind == WT_PATTERN_UNKNOWN || p->kind == WT_PATTERN_ALL)
	{
		memset(verdicts, p->kind == WT_PATTERN_ALL && !p->any_case ? WT_TRUE : WT_UNKNOWN,
			   texts->n);
		return;
	}
	if ((p->kind == WT_PATTERN_WITHIN || p->kind == WT_PATTERN_OTHER) &&
		(!p->any_case || is_ascii(texts->base, all)))
	{
		WtVerdict found = p->kind == WT_PATTERN_WITHIN && !digits ? WT_TRUE : WT_UNKNOWN;

		if (!p->any_case)
			search_all(texts->base, texts, literal, n, found, verdicts);
		else
		{
			char *bytes = palloc_extended(Max(all, 1), MCXT_ALLOC_HUGE);

			for (size_t i = 0; i < all; i++)
				bytes[i] = folded(texts->base[i]);
			search_all(bytes, texts, literal, n, found, verdicts);
			pfree(bytes);
		}
		return;
	}
	for (int i = 0; i < texts->n; i++)
	{
		WtText text = wt_texts_at(texts, i);

		verdicts[i] = match(p, literal, n, text.text, text.length);
		if (digits && verdicts[i] == WT_TRUE)
			verdicts[i] = WT_UNKNOWN;
	}
}
