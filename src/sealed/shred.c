/*
 * shred.c
 *		Documents (jsonb) are taken apart into the leaves of a chunk of columns.
 *
 * Straight from the binary form: PostgreSQL's iterator copies and allocates for each object,
 * and numeric_out for each number, which together would be most of the time.  The binary form is
 * what PostgreSQL has made, from text; it is trusted.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "sealed/shred.h"

/* What scratch may keep between documents. */
#define SCRATCH_KEPT (64 * 1024)

/*
 * A numeric in its short form, as it is stored (see numeric.c): a header of 16 bits, and
 * digits to the base of 10,000.
 */
#define SHORT_MASK 0xC000
#define SHORT_FORM 0x8000
#define SHORT_NEGATIVE 0x2000
#define SHORT_SCALE(header) (((header) &0x1F80) >> 7)
#define SHORT_WEIGHT_SIGN 0x0040
#define SHORT_WEIGHT_MASK 0x003F
#define DIGITS_OF_GROUP 4

/* Room for the longest one: 64 groups before the point, 64 digits behind it. */
#define SHORT_ROOM (64 * DIGITS_OF_GROUP + 64 + DIGITS_OF_GROUP + 3)

typedef struct Shredding
{
	WtChunkWriter *writer;
	StringInfo scratch;
} Shredding;

static char *
put_group(char *out, int group)
{
	out[0] = (char) ('0' + group / 1000);
	out[1] = (char) ('0' + group / 100 % 10);
	out[2] = (char) ('0' + group / 10 % 10);
	out[3] = (char) ('0' + group % 10);
	return out + DIGITS_OF_GROUP;
}

/* Prints a numeric as numeric_out does; 0: it is not in the short form. */
static size_t
print_short(Numeric number, char *buffer)
{
	const char *bytes = VARDATA_ANY(number);
	int n_groups = (int) ((VARSIZE_ANY_EXHDR(number) - sizeof(uint16)) / sizeof(int16));
	const int16 *groups = (const int16 *) (bytes + sizeof(uint16));
	uint16 header = *(const uint16 *) bytes;
	int scale = SHORT_SCALE(header);
	int weight = (header & SHORT_WEIGHT_MASK) |
				 ((header & SHORT_WEIGHT_SIGN) ? ~SHORT_WEIGHT_MASK : 0);
	char *out = buffer;
	char *end;

	if ((header & SHORT_MASK) != SHORT_FORM)
		return 0;
	if (header & SHORT_NEGATIVE)
		*out++ = '-';
	if (weight < 0)
		*out++ = '0';
	else
	{
		int first = n_groups > 0 ? groups[0] : 0;
		char padded[DIGITS_OF_GROUP];
		int skip = first >= 1000 ? 0 : first >= 100 ? 1 : first >= 10 ? 2 : 3;

		(void) put_group(padded, first);
		memcpy(out, padded + skip, (size_t) (DIGITS_OF_GROUP - skip));
		out += DIGITS_OF_GROUP - skip;
		for (int i = 1; i <= weight; i++)
			out = put_group(out, i < n_groups ? groups[i] : 0);
	}
	if (scale == 0)
		return (size_t) (out - buffer);
	*out++ = '.';
	end = out + scale;
	for (int i = weight + 1; out < end; i++)
		out = put_group(out, i >= 0 && i < n_groups ? groups[i] : 0);
	return (size_t) (end - buffer);
}

static bool
put_number(const Shredding *s, int path, Numeric number)
{
	char buffer[SHORT_ROOM];
	size_t length = print_short(number, buffer);
	char *text;
	bool ok;

	if (length > 0)
		return wt_chunk_writer_value(s->writer, path, WT_KIND_NUMBER, buffer, length);
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	ok = wt_chunk_writer_value(s->writer, path, WT_KIND_NUMBER, text, strlen(text));
	pfree(text);
	return ok;
}

/* As its text: a reader need not trust it to be a well-formed container. */
static bool
put_text(const Shredding *s, int path, JsonbContainer *container, int size)
{
	resetStringInfo(s->scratch);
	(void) JsonbToCString(s->scratch, container, size);
	return wt_chunk_writer_value(s->writer, path, WT_KIND_JSON, s->scratch->data,
								 (size_t) s->scratch->len);
}

static bool put_object(const Shredding *s, int path, int depth,
					   JsonbContainer *container);

/* A value: entry describes it, and it is at offset from base. */
static bool
put_value(const Shredding *s, int path, int depth, JEntry entry, char *base,
		  uint32 offset, uint32 length)
{
	uint32 aligned = INTALIGN(offset);
	JsonbContainer *container;

	switch (entry & JENTRY_TYPEMASK)
	{
		case JENTRY_ISSTRING:
			return wt_chunk_writer_value(s->writer, path, WT_KIND_STRING, base + offset,
										 length);
		case JENTRY_ISNUMERIC:
			return put_number(s, path, (Numeric) (base + aligned));
		case JENTRY_ISBOOL_TRUE:
			return wt_chunk_writer_value(s->writer, path, WT_KIND_BOOLEAN, "true", 4);
		case JENTRY_ISBOOL_FALSE:
			return wt_chunk_writer_value(s->writer, path, WT_KIND_BOOLEAN, "false", 5);
		case JENTRY_ISNULL:
			return wt_chunk_writer_value(s->writer, path, WT_KIND_NULL, "", 0);
		case JENTRY_ISCONTAINER:
			break;
		default:
			elog(ERROR, "unknown kind of jsonb value");
	}
	container = (JsonbContainer *) (base + aligned);
	if (JsonContainerIsObject(container) && JsonContainerSize(container) == 0)
		return wt_chunk_writer_value(s->writer, path, WT_KIND_EMPTY, "", 0);
	if (JsonContainerIsObject(container) && depth < WT_CHUNK_MAX_DEPTH)
		return put_object(s, path, depth, container);
	return put_text(s, path, container, (int) (length - (aligned - offset)));
}

/* The length of what an entry describes, which begins at offset. */
static inline uint32
length_of(JEntry entry, uint32 offset)
{
	return JBE_HAS_OFF(entry) ? JBE_OFFLENFLD(entry) - offset : JBE_OFFLENFLD(entry);
}

/* Members of an object, whose keys come first, then its values in the same order. */
static bool
put_object(const Shredding *s, int path, int depth, JsonbContainer *container)
{
	int n = (int) JsonContainerSize(container);
	char *base = (char *) &container->children[2 * n];
	uint32 key = 0;
	uint32 value = getJsonbOffset(container, n);

	check_stack_depth();
	for (int i = 0; i < n; i++)
	{
		uint32 key_length = length_of(container->children[i], key);
		JEntry entry = container->children[n + i];
		uint32 value_length = length_of(entry, value);
		int member = wt_chunk_writer_path(s->writer, path, base + key, key_length);

		if (member < 0 ||
			!put_value(s, member, depth + 1, entry, base, value, value_length))
			return false;
		key += key_length;
		value += value_length;
	}
	return true;
}

/* What is on top: an object, or an array, or a scalar, which is stored as an array of one. */
static bool
put_document(const Shredding *s, Jsonb *document)
{
	JsonbContainer *root = &document->root;

	if (JsonContainerIsScalar(root))
		return put_value(s, WT_PATH_ROOT, 0, root->children[0],
						 (char *) &root->children[1], 0, getJsonbLength(root, 0));
	if (!JsonContainerIsObject(root))
		return put_text(s, WT_PATH_ROOT, root, (int) VARSIZE(document) - VARHDRSZ);
	if (JsonContainerSize(root) == 0)
		return wt_chunk_writer_value(s->writer, WT_PATH_ROOT, WT_KIND_EMPTY, "", 0);
	return put_object(s, WT_PATH_ROOT, 0, root);
}

void
wt_shred(WtChunkWriter *writer, Jsonb *document, StringInfo scratch)
{
	const Shredding s = {.writer = writer, .scratch = scratch};

	if (!put_document(&s, document))
	{
		resetStringInfo(scratch);
		(void) JsonbToCString(scratch, &document->root,
							  (int) VARSIZE(document) - VARHDRSZ);
		wt_chunk_writer_keep_whole(writer, scratch->data, (size_t) scratch->len);
	}
	resetStringInfo(scratch);
	if (scratch->maxlen > SCRATCH_KEPT)
	{
		scratch->data = repalloc(scratch->data, SCRATCH_KEPT);
		scratch->maxlen = SCRATCH_KEPT;
	}
}
