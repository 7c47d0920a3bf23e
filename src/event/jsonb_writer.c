/*
 * jsonb_writer.c
 *		Writes jsonb's binary form in one pass, from tokens and ready-made parts.
 *
 * What PostgreSQL's jsonb_in does by way of a tree of JsonbValues is done here straight
 * from the parser's tokens.  The form written is the one that utils/jsonb.h defines and
 * that is on disk since PostgreSQL 9.4: a container is a header (count and kind), a
 * JEntry for each child, and the children's data; within an object all names come
 * first, sorted, then the values in the same order.  Containers and numbers are aligned
 * to 4 bytes; JEntries hold lengths, but each JB_OFFSET_STRIDE'th an offset.
 *
 * A container holds nothing that depends on where it stands, so a ready-made one can be
 * copied to any aligned place.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "event/jsonb_writer.h"

/* Objects of up to this many members are sorted on the stack. */
#define STACK_MEMBERS 32

static JEntry write_token(StringInfo buffer, const WtJson *json, uint32 *index);

static inline uint32
pad(StringInfo buffer)
{
	uint32 n = INTALIGN(buffer->len) - buffer->len;

	/* Zeros, as PostgreSQL's own, so that equal documents are equal byte for byte. */
	appendBinaryStringInfo(buffer, "\0\0\0", (int) n);
	return n;
}

/* Leaves room for n bytes and gives the offset at which they begin. */
static inline int
reserve(StringInfo buffer, int n)
{
	int offset = buffer->len;

	enlargeStringInfo(buffer, n);
	buffer->len += n;
	return offset;
}

static inline void
put_entry(StringInfo buffer, int offset, JEntry entry)
{
	memcpy(buffer->data + offset, &entry, sizeof(JEntry));
}

/* The entry of child i as it is stored, where total is the length up to its end. */
static inline JEntry
stored_entry(JEntry entry, uint32 i, uint32 total)
{
	if (i % JB_OFFSET_STRIDE == 0)
		return (entry & JENTRY_TYPEMASK) | total | JENTRY_HAS_OFF;
	return entry;
}

static JEntry
write_number(StringInfo buffer, const WtJsonToken *t)
{
	uint32 padding = pad(buffer);
	Numeric number;
	uint32 size;

	/* uint64 holds any 19 digits. */
	if (t->length <= 19)
	{
		const char *p = t->u.text;
		const char *end = p + t->length;
		bool negative = (*p == '-');
		uint64 n = 0;

		if (negative)
			p++;
		while (p < end && *p >= '0' && *p <= '9')
			n = n * 10 + (uint64) (*p++ - '0');
		if (p == end && n <= PG_INT64_MAX)
		{
			number = int64_to_numeric(negative ? -(int64) n : (int64) n);
			goto write;
		}
	}
	{
		/* The parser has made sure that numeric_in takes it. */
		char stack[64];
		char *text = t->length < sizeof(stack) ? stack : palloc(t->length + 1);

		memcpy(text, t->u.text, t->length);
		text[t->length] = '\0';
		number = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
													 ObjectIdGetDatum(InvalidOid),
													 Int32GetDatum(-1)));
		if (text != stack)
			pfree(text);
	}
write:
	size = VARSIZE_ANY(number);
	appendBinaryStringInfo(buffer, (char *) number, (int) size);
	pfree(number);
	return JENTRY_ISNUMERIC | (padding + size);
}

static JEntry
write_array(StringInfo buffer, const WtJson *json, uint32 *index)
{
	const WtJsonToken *t = &json->tokens[*index];
	uint32 n = t->length;
	int base = buffer->len;
	uint32 header = n | JB_FARRAY;
	uint32 total = 0;
	int entries;

	pad(buffer);
	appendBinaryStringInfo(buffer, (char *) &header, sizeof(header));
	entries = reserve(buffer, (int) (sizeof(JEntry) * n));
	(*index)++;
	for (uint32 i = 0; i < n; i++)
	{
		JEntry entry = write_token(buffer, json, index);

		total += JBE_OFFLENFLD(entry);
		put_entry(buffer, entries + (int) (i * sizeof(JEntry)),
				  stored_entry(entry, i, total));
	}
	return JENTRY_ISCONTAINER | (uint32) (buffer->len - base);
}

static JEntry
write_members(StringInfo buffer, const WtJson *json, const WtMember *members, int n)
{
	int base = buffer->len;
	uint32 header = (uint32) n | JB_FOBJECT;
	uint32 total = 0;
	int entries;

	pad(buffer);
	appendBinaryStringInfo(buffer, (char *) &header, sizeof(header));
	entries = reserve(buffer, (int) sizeof(JEntry) * n * 2);
	for (int i = 0; i < n; i++)
	{
		JEntry entry = JENTRY_ISSTRING | members[i].name_length;

		appendBinaryStringInfo(buffer, members[i].name, (int) members[i].name_length);
		total += members[i].name_length;
		put_entry(buffer, entries + i * (int) sizeof(JEntry),
				  stored_entry(entry, (uint32) i, total));
	}
	for (int i = 0; i < n; i++)
	{
		const WtMember *m = &members[i];
		uint32 token = m->token;
		uint32 padding;
		JEntry entry = 0;

		switch (m->kind)
		{
			case WT_MEMBER_STRING:
				appendBinaryStringInfo(buffer, m->text, (int) m->text_length);
				entry = JENTRY_ISSTRING | m->text_length;
				break;
			case WT_MEMBER_TRUE:
				entry = JENTRY_ISBOOL_TRUE;
				break;
			case WT_MEMBER_TOKEN:
				entry = write_token(buffer, json, &token);
				break;
			case WT_MEMBER_CONTAINER:
				padding = pad(buffer);
				appendBinaryStringInfo(buffer, m->text, (int) m->text_length);
				entry = JENTRY_ISCONTAINER | (padding + m->text_length);
				break;
		}
		total += JBE_OFFLENFLD(entry);
		put_entry(buffer, entries + (n + i) * (int) sizeof(JEntry),
				  stored_entry(entry, (uint32) (n + i), total));
	}
	return JENTRY_ISCONTAINER | (uint32) (buffer->len - base);
}

/* more: a member beside those of the token, which wins over one of its name; NULL: none. */
static JEntry
write_object(StringInfo buffer, const WtJson *json, uint32 *index, const WtMember *more)
{
	uint32 n = json->tokens[*index].length;
	WtMember stack[STACK_MEMBERS];
	WtMember *members =
		n < STACK_MEMBERS ? stack : palloc(sizeof(WtMember) * ((Size) n + 1));
	uint32 next = *index + 1;
	int left;
	JEntry entry;

	for (uint32 i = 0; i < n; i++)
	{
		const WtJsonToken *name = &json->tokens[next];

		members[i].name = name->u.text;
		members[i].name_length = name->length;
		members[i].kind = WT_MEMBER_TOKEN;
		members[i].token = next + 1;
		members[i].order = i;
		next = wt_json_after(json, next + 1);
	}
	if (more)
	{
		members[n] = *more;
		members[n].order = n;
		n++;
	}
	left = wt_jsonb_sort_members(members, (int) n);
	entry = write_members(buffer, json, members, left);
	*index = next;
	if (members != stack)
		pfree(members);
	return entry;
}

/* Appends the value at *index and moves *index past it. */
static JEntry
write_token(StringInfo buffer, const WtJson *json, uint32 *index)
{
	const WtJsonToken *t = &json->tokens[*index];

	switch (t->type)
	{
		case WT_JSON_ARRAY:
			return write_array(buffer, json, index);
		case WT_JSON_OBJECT:
			return write_object(buffer, json, index, NULL);
		case WT_JSON_STRING:
			appendBinaryStringInfo(buffer, t->u.text, (int) t->length);
			(*index)++;
			return JENTRY_ISSTRING | t->length;
		case WT_JSON_NUMBER:
			(*index)++;
			return write_number(buffer, t);
		case WT_JSON_TRUE:
			(*index)++;
			return JENTRY_ISBOOL_TRUE;
		case WT_JSON_FALSE:
			(*index)++;
			return JENTRY_ISBOOL_FALSE;
		default:
			(*index)++;
			return JENTRY_ISNULL;
	}
}

static inline int
compare_names(const WtMember *a, const WtMember *b)
{
	if (a->name_length != b->name_length)
		return a->name_length < b->name_length ? -1 : 1;
	return memcmp(a->name, b->name, a->name_length);
}

/* Of one name the last one sent comes first, so that it is the one that is kept. */
static int
compare_members(const void *a, const void *b)
{
	const WtMember *ma = a;
	const WtMember *mb = b;
	int c = compare_names(ma, mb);

	if (c != 0)
		return c;
	return ma->order > mb->order ? -1 : 1;
}

int
wt_jsonb_sort_members(WtMember *members, int n_members)
{
	int left = 0;

	if (n_members <= STACK_MEMBERS)
	{
		/* Most objects are small, and many come sorted: insertion beats qsort. */
		for (int i = 1; i < n_members; i++)
		{
			WtMember m = members[i];
			int j = i;

			while (j > 0 && compare_members(&members[j - 1], &m) > 0)
			{
				members[j] = members[j - 1];
				j--;
			}
			members[j] = m;
		}
	}
	else
		qsort(members, (size_t) n_members, sizeof(WtMember), compare_members);

	for (int i = 0; i < n_members; i++)
	{
		if (left > 0 && compare_names(&members[left - 1], &members[i]) == 0)
			continue;
		if (left != i)
			members[left] = members[i];
		left++;
	}
	return left;
}

void
wt_jsonb_write_object(StringInfo buffer, const WtJson *json, const WtMember *members,
					  int n_members)
{
	Assert((int) INTALIGN(buffer->len) == buffer->len);
	write_members(buffer, json, members, n_members);
}

void
wt_jsonb_write_token(StringInfo buffer, const WtJson *json, uint32 token)
{
	Assert((int) INTALIGN(buffer->len) == buffer->len);
	Assert(json->tokens[token].type == WT_JSON_OBJECT);
	(void) write_object(buffer, json, &token, NULL);
}

void
wt_jsonb_write_token_with(StringInfo buffer, const WtJson *json, uint32 token,
						  const WtMember *member)
{
	Assert((int) INTALIGN(buffer->len) == buffer->len);
	Assert(json->tokens[token].type == WT_JSON_OBJECT);
	(void) write_object(buffer, json, &token, member);
}

void
wt_jsonb_write_array_with(StringInfo buffer, const WtJson *json, uint32 token,
						  const StringInfoData *last)
{
	bool is_array = json && json->tokens[token].type == WT_JSON_ARRAY;
	uint32 n = is_array ? json->tokens[token].length : json != NULL;
	uint32 header = (n + 1) | JB_FARRAY;
	uint32 total = 0;
	uint32 padding;
	int entries;

	Assert((int) INTALIGN(buffer->len) == buffer->len);
	appendBinaryStringInfo(buffer, (char *) &header, sizeof(header));
	entries = reserve(buffer, (int) (sizeof(JEntry) * (n + 1)));
	token += is_array;
	for (uint32 i = 0; i < n; i++)
	{
		JEntry entry = write_token(buffer, json, &token);

		total += JBE_OFFLENFLD(entry);
		put_entry(buffer, entries + (int) (i * sizeof(JEntry)),
				  stored_entry(entry, i, total));
	}
	padding = pad(buffer);
	appendBinaryStringInfo(buffer, last->data, last->len);
	total += padding + (uint32) last->len;
	put_entry(
		buffer, entries + (int) (n * sizeof(JEntry)),
		stored_entry(JENTRY_ISCONTAINER | (padding + (uint32) last->len), n, total));
}
