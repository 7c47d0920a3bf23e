/*
 * documents.c
 *		Documents of a chunk's rows, written as jsonb lies on disk, which is what jsonb_util.c makes of them.
 *
 * What is the same for each row of a layout (headers, keys, objects of constants) is prepared once, so a
 * document is a few copies.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "sealed/decimal.h"
#include "sealed/projection_state.h"

/* Bytes that are kept to write documents with; what is beyond is made anew. */
#define MAX_KEPT (64 * 1024 * 1024)

/* An object of constants that may be longer is put together for each row. */
#define MAX_CONSTANT (64 * 1024)

static pg_noinline void
grow(WtProjection *p, size_t n)
{
	size_t wanted = p->length + n;

	if (wanted > MaxAllocSize)
		wt_chunk_scan_damaged(p->scan, "a document is too large");
	while (p->room < wanted)
		p->room *= 2;
	p->room = Min(p->room, MaxAllocSize);
	p->buffer = repalloc(p->buffer, p->room);
}

static inline void
reserve(WtProjection *p, size_t n)
{
	if (unlikely(p->length + n > p->room))
		grow(p, n);
}

/* Most values are short, and then a call costs more than the copy: two that overlap do. */
static inline void
copy(char *to, const char *from, size_t n)
{
	if (n > 32)
		memcpy(to, from, n);
	else if (n >= 16)
	{
		memcpy(to, from, 16);
		memcpy(to + n - 16, from + n - 16, 16);
	}
	else if (n >= 8)
	{
		memcpy(to, from, 8);
		memcpy(to + n - 8, from + n - 8, 8);
	}
	else if (n >= 4)
	{
		memcpy(to, from, 4);
		memcpy(to + n - 4, from + n - 4, 4);
	}
	else
		for (size_t i = 0; i < n; i++)
			to[i] = from[i];
}

static inline void
append(WtProjection *p, const char *bytes, size_t n)
{
	reserve(p, n);
	copy(p->buffer + p->length, bytes, n);
	p->length += n;
}

/* Numbers and containers begin at multiples of four bytes. */
static inline void
align(WtProjection *p)
{
	reserve(p, 3);
	while (p->length & 3)
		p->buffer[p->length++] = '\0';
}

/* A document, or a part of it, of its text: in the current memory context. */
static Jsonb *
parse(WtProjection *p, WtText text)
{
	ErrorContextCallback callback = {error_context_stack, wt_projection_say_where,
									 p->scan};
	Jsonb *result;

	error_context_stack = &callback;
	result = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text.text)));
	error_context_stack = callback.previous;
	return result;
}

/*
 * A value of a kind that is kept as text, in the form that a document has it: made anew, in the
 * row's context, since what that takes on the way is many times as long.
 */
static Made
make(WtProjection *p, WtKind kind, WtText text)
{
	MemoryContext old = wt_enter_row(p);
	Made made;

	if (kind == WT_KIND_NUMBER)
	{
		ErrorContextCallback callback = {error_context_stack, wt_projection_say_where,
										 p->scan};
		Datum number;

		error_context_stack = &callback;
		number = DirectFunctionCall3(numeric_in, CStringGetDatum(text.text),
									 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
		error_context_stack = callback.previous;
		made.bytes = DatumGetPointer(number);
		made.length = VARSIZE_ANY(made.bytes);
	}
	else
	{
		Jsonb *jsonb = parse(p, text);

		/* A scalar is kept as a value of its own kind, and what is within has another form. */
		if (kind == WT_KIND_JSON && JB_ROOT_IS_SCALAR(jsonb))
			wt_chunk_scan_damaged(p->scan,
								  "a scalar is where an array or object should be");
		made.bytes = VARDATA(jsonb);
		made.length = VARSIZE(jsonb) - VARHDRSZ;
	}
	MemoryContextSwitchTo(old);
	return made;
}

static char *
keep(WtProjection *p, const char *bytes, size_t length)
{
	return memcpy(MemoryContextAlloc(p->kept_context, Max(length, 1)), bytes, length);
}

/* A row's text of a column. */
static inline WtText
text_of(WtProjection *p, const Source *s, int row)
{
	WtText text;

	if (s->has_codes)
		return wt_texts_at(&s->distinct, wt_source_code(p, s, row));
	text = wt_column_text(p->scan->chunk, s->column, wt_source_value(p, s, row));
	if (unlikely(text.text == NULL))
		wt_chunk_scan_damaged(p->scan, "a text is damaged");
	return text;
}

/* The same of a kind that is not text in a document. */
static Made
made_of(WtProjection *p, Source *s, int row)
{
	Made *made = s->made ? &s->made[wt_source_code(p, s, row)] : NULL;
	Made once;

	if (made && made->bytes)
		return *made;
	once = make(p, s->kind, text_of(p, s, row));
	if (made)
	{
		once.bytes = keep(p, once.bytes, once.length);
		*made = once;
	}
	return once;
}

/* Appends a value; gives its entry. */
static JEntry
write_value(WtProjection *p, Source *s, int row)
{
	size_t start = p->length;

	switch (s->kind)
	{
		case WT_KIND_STRING:
		{
			WtText text = text_of(p, s, row);

			append(p, text.text, text.length);
			return JENTRY_ISSTRING | text.length;
		}
		case WT_KIND_NUMBER:
			align(p);
			if (s->integers != NULL)
			{
				int value = wt_source_value(p, s, row);
				int decimals = s->decimals ? s->decimals[value] : s->n_decimals;

				if (decimals >= 0 && decimals <= WT_NUMERIC_DECIMALS)
				{
					reserve(p, WT_DECIMAL_BYTES);
					p->length += wt_decimal_numeric(s->integers[value], decimals,
													p->buffer + p->length);
					return JENTRY_ISNUMERIC | (p->length - start);
				}
			}
			{
				Made made = made_of(p, s, row);

				append(p, made.bytes, made.length);
				return JENTRY_ISNUMERIC | (p->length - start);
			}
		case WT_KIND_BOOLEAN:
			return text_of(p, s, row).text[0] == 't' ? JENTRY_ISBOOL_TRUE
													 : JENTRY_ISBOOL_FALSE;
		case WT_KIND_NULL:
			return JENTRY_ISNULL;
		case WT_KIND_EMPTY:
		{
			uint32 header = JB_FOBJECT;

			align(p);
			append(p, (char *) &header, sizeof(header));
			return JENTRY_ISCONTAINER | (p->length - start);
		}
		case WT_KIND_JSON:
		{
			Made made = made_of(p, s, row);

			align(p);
			append(p, made.bytes, made.length);
			return JENTRY_ISCONTAINER | (p->length - start);
		}
		default:
			wt_chunk_scan_damaged(p->scan,
								  "a document has a column that is none of its own");
			return 0; /* not reached */
	}
}

static JEntry
write_object(WtProjection *p, Piece *node, int row)
{
	size_t start = p->length, entries;
	uint32 total = node->keys_length;

	align(p);
	if (node->constant != NULL)
	{
		append(p, node->constant, node->constant_length);
		return JENTRY_ISCONTAINER | (p->length - start);
	}
	append(p, node->head, node->head_length);
	entries = p->length - node->keys_length - node->n * sizeof(JEntry);
	for (int i = 0; i < node->n; i++)
	{
		Piece *member = node->members[i];
		JEntry entry = member->source ? write_value(p, member->source, row)
									  : write_object(p, member, row);

		if (p->length - start > JENTRY_OFFLENMASK)
			wt_chunk_scan_damaged(p->scan, "a document is too large");
		total += JBE_OFFLENFLD(entry);
		/* Now and then an entry says where its value ends, not how long it is. */
		if ((node->n + i) % JB_OFFSET_STRIDE == 0)
			entry = (entry & JENTRY_TYPEMASK) | total | JENTRY_HAS_OFF;
		memcpy(p->buffer + entries + i * sizeof(JEntry), &entry, sizeof(entry));
	}
	return JENTRY_ISCONTAINER | (p->length - start);
}

/* Prepares what is the same for each row: objects within are prepared already. */
static void
prepare_object(WtProjection *p, Piece *node)
{
	const WtPathInfo *paths = p->scan->chunk->paths;
	uint32 header = JB_FOBJECT | node->n;
	bool constant = true;
	size_t length = 0; /* of the constant, but for what numbers and short things take */
	StringInfoData head;

	initStringInfo(&head);
	appendBinaryStringInfo(&head, (char *) &header, sizeof(header));
	for (int i = 0; i < node->n; i++)
	{
		uint32 length = paths[node->members[i]->path].key_length;
		JEntry entry = JENTRY_ISSTRING | length;

		node->keys_length += length;
		if (node->keys_length > JENTRY_OFFLENMASK)
			wt_chunk_scan_damaged(p->scan, "a document is too large");
		if (i % JB_OFFSET_STRIDE == 0)
			entry = JENTRY_ISSTRING | JENTRY_HAS_OFF | node->keys_length;
		appendBinaryStringInfo(&head, (char *) &entry, sizeof(entry));
	}
	for (int i = 0; i < node->n; i++)
	{
		JEntry later = 0;

		appendBinaryStringInfo(&head, (char *) &later, sizeof(later));
	}
	for (int i = 0; i < node->n; i++)
	{
		const WtPathInfo *path = &paths[node->members[i]->path];

		appendBinaryStringInfo(&head, path->key, path->key_length);
	}
	node->head = head.data;
	node->head_length = head.len;
	for (int i = 0; i < node->n; i++)
	{
		Piece *member = node->members[i];

		if (member->source == NULL)
			constant &= member->constant != NULL;
		else if (member->source->encoding == WT_ENCODING_CONSTANT)
			length += wt_texts_at(&member->source->distinct, 0).length;
		else
			constant &= member->source->encoding == WT_ENCODING_NONE;
		length += member->constant_length;
	}
	/* Each object has a copy of all that is beneath it, and so do others in other layouts. */
	if (constant && node->keys_length + length <= MAX_CONSTANT)
	{
		size_t begin = VARHDRSZ;

		/* Constants are the same in any row, also in one that has none of them. */
		p->length = begin;
		write_object(p, node, 0);
		node->constant_length = p->length - begin;
		node->constant = palloc(Max(node->constant_length, 1));
		memcpy(node->constant, p->buffer + begin, node->constant_length);
	}
}

static Piece *
add_member(Piece *object, int path)
{
	Piece *member = palloc0(sizeof(Piece));

	if (object->n == object->room)
	{
		object->room = object->room ? object->room * 2 : 8;
		object->members = object->members
							  ? repalloc(object->members, object->room * sizeof(Piece *))
							  : palloc(object->room * sizeof(Piece *));
	}
	object->members[object->n++] = member;
	member->path = path;
	return member;
}

/* The object at a path, on the way that the last column took, or a new branch of it. */
static Piece *
object_at(WtProjection *p, Piece *root, int path)
{
	int steps[WT_CHUNK_MAX_DEPTH + 1], n = 0;
	Piece *node = root;

	for (; path > WT_PATH_ROOT && n <= WT_CHUNK_MAX_DEPTH;
		 path = p->scan->chunk->paths[path].parent)
		steps[n++] = path;
	while (n-- > 0)
	{
		Piece *last = node->n ? node->members[node->n - 1] : NULL;

		if (last == NULL || last->path != steps[n])
			last = add_member(node, steps[n]);
		if (last->source != NULL)
			wt_chunk_scan_damaged(p->scan, "a value has members");
		node = last;
	}
	return node;
}

static void
prepare_tree(WtProjection *p, Piece *node)
{
	check_stack_depth();
	for (int i = 0; i < node->n; i++)
		if (node->members[i]->source == NULL)
			prepare_tree(p, node->members[i]);
	prepare_object(p, node);
}

static void
make_layout(WtProjection *p, Layout *l)
{
	MemoryContext old = MemoryContextSwitchTo(p->kept_context);
	Piece *root = palloc0(sizeof(Piece));

	for (int i = 0; i < l->n_columns; i++)
	{
		Source *s = p->sources[l->columns[i]];
		int path = p->scan->chunk->columns[l->columns[i]].path;
		Piece *object;

		if (path == WT_PATH_ROOT)
		{
			/* The document is no object with members: it has this column alone. */
			if (l->n_columns != 1)
				wt_chunk_scan_damaged(p->scan, "a value has members");
			root->source = s;
			break;
		}
		object = object_at(p, root, p->scan->chunk->paths[path].parent);
		add_member(object, path)->source = s;
	}
	if (root->source == NULL)
		prepare_tree(p, root);
	l->root = root;
	MemoryContextSwitchTo(old);
}

/* A document that is a scalar. */
static Datum
scalar_document(WtProjection *p, Source *s, int row)
{
	MemoryContext old = wt_enter_row(p);
	JsonbValue value;
	WtText text = s->encoding == WT_ENCODING_NONE ? (WtText){"", 0} : text_of(p, s, row);
	Jsonb *result;

	switch (s->kind)
	{
		case WT_KIND_STRING:
			value.type = jbvString;
			value.val.string.val = (char *) text.text;
			value.val.string.len = text.length;
			break;
		case WT_KIND_NUMBER:
			value.type = jbvNumeric;
			value.val.numeric = (Numeric) make(p, WT_KIND_NUMBER, text).bytes;
			break;
		case WT_KIND_BOOLEAN:
			value.type = jbvBool;
			value.val.boolean = text.text[0] == 't';
			break;
		case WT_KIND_NULL:
			value.type = jbvNull;
			break;
		default:
			wt_chunk_scan_damaged(p->scan,
								  "a document has a column that is none of its own");
	}
	result = JsonbValueToJsonb(&value);
	MemoryContextSwitchTo(old);
	return JsonbPGetDatum(result);
}

/*
 * Forgets what is kept, where it has become too much: a small chunk may say that all its rows
 * have one text, or key, that is large, and that is copied with each layout.
 */
static void
forget_kept(WtProjection *p)
{
	if (MemoryContextMemAllocated(p->kept_context, false) <= MAX_KEPT)
		return;
	for (int l = 0; l < p->n_layouts; l++)
		p->layouts[l].root = NULL;
	if (p->document_numbers)
		memset(p->made_documents, 0, (size_t) p->n_documents * sizeof(Datum));
	for (int c = 0; c < p->scan->chunk->n_columns; c++)
		if (p->sources[c] && p->sources[c]->made)
			memset(p->sources[c]->made, 0,
				   (size_t) p->sources[c]->distinct.n * sizeof(Made));
	MemoryContextReset(p->kept_context);
}

/* Writes a row's document: in the buffer, or in the context of the row. */
static Datum
write_document(WtProjection *p, Layout *l, int row)
{
	Source *s;

	forget_kept(p);
	if (l->root == NULL)
		make_layout(p, l);
	s = l->root->source;
	if (s != NULL && s->kind != WT_KIND_EMPTY && s->kind != WT_KIND_JSON &&
		s->kind != WT_KIND_WHOLE)
		return scalar_document(p, s, row);
	p->length = VARHDRSZ;
	if (s == NULL)
		write_object(p, l->root, row);
	else if (s->kind == WT_KIND_EMPTY)
		write_value(p, s, row);
	else
	{
		Made made = made_of(p, s, row);

		append(p, made.bytes, made.length);
	}
	SET_VARSIZE(p->buffer, p->length);
	return PointerGetDatum(p->buffer);
}

bool
wt_projection_document(WtProjection *p, int row, Datum *document)
{
	Layout *l = &p->layouts[wt_row_layout(p, row)];
	int32 number;

	if (l->no_document)
		return false;
	if (unlikely(!p->is_numbered))
		wt_number_documents(p);
	number = p->document_numbers ? p->document_numbers[row] : -1;
	if (number < 0)
		*document = write_document(p, l, row);
	else
	{
		if (p->made_documents[number] == 0)
		{
			Pointer made = DatumGetPointer(write_document(p, l, row));

			p->made_documents[number] = PointerGetDatum(keep(p, made, VARSIZE(made)));
		}
		*document = p->made_documents[number];
	}
	return true;
}
