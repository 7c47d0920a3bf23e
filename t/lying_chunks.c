/*
 * lying_chunks.c
 *		Chunks whose checksums are right and whose contents lie, made of a real one.
 *
 *		lying_chunks CHUNK SEED COUNT < parts > chunks
 *
 * A part is a line: its number, and its bytes in hex.  Each chunk that is written is a line
 * "lie" with what is false about it, and its parts.  Rows are read with the reader, spoilt, and
 * written with the writer, not compressed; then bytes of what was written are spoilt, and the
 * checksums made anew.  The same seed makes the same chunks.
 *
 * Instead of a seed, the name of one lie that takes much memory: "constant" and "keys" (of
 * many shapes with a large constant, or a large key).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "column/bytes.h"
#include "column/chunk_reader.h"
#include "column/chunk_writer.h"
#include "column/crc.h"
#include "column/overlay.h"

#include "chance.h"

#define MAX_PARTS 5000

typedef struct Part
{
	int number;
	char *bytes;
	size_t length;
} Part;

static Part parts[MAX_PARTS]; /* of the real chunk */
static int n_parts;
static Part made[MAX_PARTS]; /* of the one that lies */
static int n_made;
static int32_t number;

static void __attribute__((noreturn)) complain(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

/* ------------------------------------------------------------------------------ reading */

static void
read_parts(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	while ((n = getline(&line, &room, stdin)) > 0)
	{
		Part *part = &parts[n_parts++];
		char *hex;

		part->number = (int) strtol(line, &hex, 10);
		hex += strspn(hex, " ");
		part->length = strcspn(hex, "\n") / 2;
		part->bytes = malloc(part->length + 1);
		for (size_t i = 0; i < part->length; i++)
		{
			const char byte[] = {hex[2 * i], hex[2 * i + 1], '\0'};

			part->bytes[i] = (char) strtol(byte, NULL, 16);
		}
		if (n_parts == MAX_PARTS)
			complain("too many parts");
	}
	free(line);
}

static Part *
part_of(int wanted)
{
	for (int i = 0; i < n_parts; i++)
		if (parts[i].number == wanted)
			return &parts[i];
	complain("a part is missing");
}

static WtChunk *
open_chunk(WtArena *arena)
{
	Part *directory = part_of(WT_PART_DIRECTORY);
	WtColumnError error;
	WtChunk *chunk =
		wt_chunk_open(arena, directory->bytes, directory->length, number, &error);

	if (!chunk)
		complain(error.text);
	for (int c = WT_COLUMN_SHAPES; c < chunk->n_columns; c++)
	{
		int wanted[WT_PARTS_OF_COLUMN];
		int n = wt_column_parts(chunk, c, WT_WANT_VALUES, wanted, &error);

		for (int i = 0; i < n; i++)
		{
			Part *part = part_of(wanted[i]);

			if (!wt_chunk_add_part(chunk, wanted[i], part->bytes, part->length, &error))
				complain(error.text);
		}
	}
	return chunk;
}

/* --------------------------------------------------------------------------------- lies */

enum
{
	TIMES_ANYHOW,
	TIMES_FAR,
	EXTRA_NAMES,
	EXTRA_KINDS,
	EXTRA_VALUES,
	TEXTS,
	NUMBERS,
	BOOLEANS,
	DOCUMENTS,
	KINDS,
	FEWER_ROWS,
	MORE_ROWS,
	DEEP,
	MANY_COLUMNS,
	N_LIES
};

static const char *const lies[N_LIES] = {
	"times anyhow", "far times",	   "names of columns", "kinds of columns",
	"values",		"texts",		   "numbers",		   "booleans",
	"documents",	"kinds of leaves", "fewer rows",	   "more rows",
	"deep paths",	"many columns"};

static bool told[N_LIES];
static int of_hundred; /* values that are spoilt */

static bool
lying(int lie)
{
	return told[lie] && below(100) < of_hundred;
}

typedef struct Text
{
	const char *bytes;
	size_t length;
} Text;

#define TEXT(s)                                                                          \
	{                                                                                    \
		s, sizeof(s) - 1                                                                 \
	}

static const Text texts[] = {TEXT(""),
							 TEXT("\xff"),
							 TEXT("caf\xc3"),
							 TEXT("\xed\xa0\x80"),
							 TEXT("\xc0\x80"),
							 TEXT("\xf8\x88\x80\x80\x80"),
							 TEXT("\x80 2026-11-26T01:02:03"),
							 TEXT("2026-11-26\xe9"
								  "01:02:03\xff"),
							 TEXT("2026-11-26T01:02:03\xc3"),
							 TEXT("\xe9 12 \xff 13"),
							 TEXT("\\u0000"),
							 TEXT("%_\\")};
static const Text extras[] = {
	TEXT("a\0b"), TEXT("\xff\xfe"), TEXT("99999999999999999999"),
	TEXT("-1"),	  TEXT(""),			TEXT("infinity")};
static const Text numbers[] = {
	TEXT("NaN"),  TEXT("Infinity"), TEXT("1e999999"), TEXT(""),
	TEXT("-"),	  TEXT("."),		TEXT("1."),		  TEXT("-.5"),
	TEXT("007"),  TEXT("1-1"),		TEXT("1.2.3"),	  TEXT(" 1"),
	TEXT("0x1f"), TEXT("1_000"),	TEXT("-0"),		  TEXT("-0.00")};
static const Text booleans[] = {TEXT(""), TEXT("t"), TEXT("null"), TEXT("truefalse"),
								TEXT("\xff")};
static const Text documents[] = {TEXT("1"),
								 TEXT("\"a\""),
								 TEXT("null"),
								 TEXT(""),
								 TEXT("{"),
								 TEXT("[1,"),
								 TEXT("{\"a\": 1, \"a\": 2}"),
								 TEXT("{\"b\": 1, \"a\": {\"c\": []}}"),
								 TEXT("[\"\\u0000\"]"),
								 TEXT("[\"\xff\"]"),
								 TEXT("[1e999999]"),
								 TEXT("[] []"),
								 TEXT("{}")};
static const Text names[] = {
	TEXT("status"), TEXT("event_timestamp"), TEXT("data"), TEXT("n"),	TEXT("note"),
	TEXT(""),		TEXT("\"; DROP TABLE"),	 TEXT("\xff"), TEXT("a\0b")};

#define PICK(of) ((of)[below((int) (sizeof(of) / sizeof(*(of))))])

/* So many bytes of one kind. */
static Text
repeated(int byte, size_t n)
{
	static char *bytes;

	bytes = realloc(bytes, n + 1);
	memset(bytes, byte, n);
	bytes[n] = '\0';
	return (Text){bytes, n};
}

static Text
spoilt(WtKind kind, Text text)
{
	switch (kind)
	{
		case WT_KIND_STRING:
			if (lying(TEXTS))
				return PICK(texts);
			break;
		case WT_KIND_NUMBER:
			if (lying(NUMBERS))
				return below(8) ? PICK(numbers) : repeated('9', 1 + (size_t) below(9000));
			break;
		case WT_KIND_BOOLEAN:
			if (lying(BOOLEANS))
				return PICK(booleans);
			break;
		case WT_KIND_JSON:
		case WT_KIND_WHOLE:
			if (lying(DOCUMENTS))
				return below(6) ? PICK(documents) : repeated('[', 20000);
			break;
		default:
			break;
	}
	return text;
}

static int64_t
spoilt_time(int64_t time)
{
	if (lying(TIMES_ANYHOW))
		time += (int64_t) below(2000000000) - 1000000000;
	if (lying(TIMES_FAR))
	{
		static const int64_t far[] = {
			INT64_MIN, INT64_MIN + 1,		INT64_MAX,			INT64_MAX - 1,
			0,		   9223371331200000000, -211813488000000001};

		time = PICK(far);
	}
	return time;
}

/* -------------------------------------------------------------------------------- writing */

static void
make_part(int wanted, const char *bytes, size_t length)
{
	Part *part = &made[n_made++];

	if (n_made == MAX_PARTS)
		complain("too many parts");
	*part = (Part){wanted, malloc(length + 64), length};
	memcpy(part->bytes, bytes, length);
}

static bool
put(void *arg, int part, const char *bytes, size_t length)
{
	(void) arg;
	make_part(part, bytes, length);
	return true;
}

static int
write_path(WtChunkWriter *writer, const WtChunk *chunk, int path)
{
	const WtPathInfo *info = &chunk->paths[path];

	if (path == WT_PATH_ROOT)
		return WT_PATH_ROOT;
	return wt_chunk_writer_path(writer, write_path(writer, chunk, info->parent),
								info->key, info->key_length);
}

static Text
text_of(WtChunk *chunk, int column, int row)
{
	WtText text = wt_column_text(chunk, column, wt_column_rank(chunk, column, row));

	return (Text){text.text, text.length};
}

static void
write_leaf(WtChunkWriter *writer, WtChunk *chunk, int column, int row)
{
	WtKind kind = chunk->columns[column].kind;
	Text text = spoilt(kind, text_of(chunk, column, row));
	int path;

	if (kind == WT_KIND_WHOLE)
	{
		wt_chunk_writer_keep_whole(writer, text.bytes, text.length);
		return;
	}
	if (lying(KINDS))
		kind = WT_KIND_STRING + (WtKind) below(WT_KIND_WHOLE - WT_KIND_STRING);
	path = write_path(writer, chunk, chunk->columns[column].path);
	for (int i = 0; lying(DEEP) && path > 0 && i < WT_CHUNK_MAX_DEPTH; i++)
	{
		int deeper = wt_chunk_writer_path(writer, path, "d", 1);

		if (deeper < 0)
			break;
		path = deeper;
	}
	if (path >= 0)
		(void) wt_chunk_writer_value(writer, path, kind, text.bytes, text.length);
}

static void
write_row(WtChunkWriter *writer, WtChunk *chunk, const int *declared,
		  const bool *integers, int row)
{
	int n;
	const WtShape *shape = &wt_chunk_shapes(chunk, &n)[wt_chunk_row_shapes(chunk)[row]];
	const uint8_t *decimals;

	wt_chunk_writer_begin_row(writer,
							  spoilt_time(wt_column_integers(chunk, 0, &decimals)[row]));
	for (int i = 0; i < shape->n_columns; i++)
		write_leaf(writer, chunk, shape->columns[i], row);
	if (told[MANY_COLUMNS])
		for (int i = 0; i < 300; i++)
		{
			char key[24];
			int path;

			snprintf(key, sizeof(key), "~many %07d", i);
			path = wt_chunk_writer_path(writer, WT_PATH_ROOT, key, strlen(key));
			if (path > 0 && below(3) == 0)
				(void) wt_chunk_writer_value(writer, path, WT_KIND_STRING, key, 6);
		}
	for (int i = 0; i < shape->n_extras; i++)
	{
		int c = shape->extras[i];
		Text text = text_of(chunk, c, row);

		if (integers[c])
			wt_chunk_writer_extra_int(
				writer, declared[c],
				lying(EXTRA_VALUES) ? (int64_t) any() : strtoll(text.bytes, NULL, 10));
		else
		{
			if (lying(EXTRA_VALUES))
				text = PICK(extras);
			wt_chunk_writer_extra(writer, declared[c], text.bytes, text.length);
		}
	}
	wt_chunk_writer_end_row(writer);
}

static void
write_chunk(WtChunk *chunk)
{
	WtChunkWriter *writer = wt_chunk_writer_create(WT_CHUNK_MAX_ROWS, 0, out_of_memory);
	int *declared = calloc((size_t) chunk->n_columns, sizeof(*declared));
	bool *integers = calloc((size_t) chunk->n_columns, sizeof(*integers));
	int n_rows = chunk->n_rows;
	WtColumnError error;

	for (int c = 1; c <= chunk->n_extras; c++)
	{
		Text name = {chunk->columns[c].name, chunk->columns[c].name_length};

		if (told[EXTRA_NAMES] && below(2))
			name = below(8) ? PICK(names) : repeated('n', 3000);
		integers[c] = chunk->columns[c].kind == WT_KIND_EXTRA_INT;
		if (told[EXTRA_KINDS] && below(2))
			integers[c] = !integers[c];
		declared[c] =
			wt_chunk_writer_declare(writer, name.bytes, name.length, integers[c]);
	}
	if (told[FEWER_ROWS])
		n_rows = 1 + below(n_rows);
	if (told[MORE_ROWS])
		n_rows += 1 + below(50);
	for (int row = 0; row < n_rows; row++)
		write_row(writer, chunk, declared, integers, row % chunk->n_rows);
	if (!wt_chunk_writer_finish(writer, number, put, NULL, &error))
		complain(error.text);
	wt_chunk_writer_destroy(writer);
	free(declared);
	free(integers);
}

/* What was changed, of as many rows as the chunk may not have. */
static void
write_overlays(WtArena *arena, int n_rows)
{
	int of = below(2) ? n_rows : 1 + below(n_rows + 100);
	WtDeleted rows;
	WtStatuses statuses;
	const char *bytes;
	size_t length;

	wt_deleted_init(arena, of, &rows);
	wt_statuses_init(arena, of, &statuses);
	for (int i = below(of + 1); i > 0; i--)
	{
		(void) wt_deleted_add(&rows, below(of));
		wt_statuses_set(&statuses, below(of), below(2) ? below(100) : (int64_t) any(),
						below(9) == 0);
	}
	if (below(2))
	{
		bytes = wt_deleted_write(arena, &rows, number, &length);
		make_part(WT_PART_DELETED, bytes, length);
	}
	if (below(2))
	{
		bytes = wt_statuses_write(arena, &statuses, number, &length);
		make_part(WT_PART_STATUSES, bytes, length);
	}
	if (below(2))
	{
		bytes = wt_moved_write(arena, &rows, number, &length);
		make_part(WT_PART_MOVED, bytes, length);
	}
}

static void
sum_up(Part *part, size_t length)
{
	wt_store32(part->bytes + length,
			   wt_part_checksum(part->bytes, length, number, part->number));
	part->length = length + WT_CHECKSUM_SIZE;
}

/* The directory is one stream, not compressed: its length stands before it. */
static void
spoil_directory(Part *part)
{
	WtCursor cursor = wt_cursor(part->bytes, part->length - WT_CHECKSUM_SIZE);
	uint8_t version = wt_cursor_byte(&cursor);
	size_t length = wt_cursor_varint(&cursor);
	WtBytes body = {0};
	char *bytes;

	(void) wt_cursor_varint(&cursor);
	bytes = malloc(length + 64);
	memcpy(bytes, wt_cursor_bytes(&cursor, length), length);
	for (int i = below(3); i >= 0; i--)
	{
		size_t at = (size_t) below((int) (below(2) && length > 200 ? 200 : length));

		switch (below(6))
		{
			case 0: /* a byte more */
				memmove(bytes + at + 1, bytes + at, length++ - at);
				break;
			case 1: /* or less */
				memmove(bytes + at, bytes + at + 1, --length - at);
				break;
			case 2: /* a number that is near */
				bytes[at] = (char) (bytes[at] + below(3) - 1);
				break;
			case 3: /* one that is large */
				bytes[at] = (char) (bytes[at] | 0x80);
				break;
			default:
				bytes[at] = (char) any();
				break;
		}
	}
	wt_bytes_add_byte(&body, version);
	wt_bytes_add_varint(&body, length);
	wt_bytes_add_varint(&body, 0);
	wt_bytes_add(&body, bytes, length);
	part->bytes = realloc(part->bytes, body.length + WT_CHECKSUM_SIZE);
	memcpy(part->bytes, body.data, body.length);
	sum_up(part, body.length);
	free(bytes);
	wt_bytes_free(&body);
}

static void
spoil_part(Part *part)
{
	size_t length = part->length - WT_CHECKSUM_SIZE;

	for (int i = below(3); i >= 0; i--)
	{
		size_t at = (size_t) below((int) (below(2) && length > 40 ? 40 : length));

		if (below(3) == 0)
			part->bytes[at] = (char) (part->bytes[at] + below(3) - 1);
		else
			part->bytes[at] = (char) any();
	}
	sum_up(part, length);
}

static void
spoil_bytes(void)
{
	for (int i = below(3); i >= 0; i--)
	{
		Part *part = &made[below(n_made)];

		if (part->number == WT_PART_DIRECTORY || below(2))
			part = &made[n_made - 1];
		while (part->number < 0)
			part--;
		if (part->number == WT_PART_DIRECTORY)
			spoil_directory(part);
		else
			spoil_part(part);
	}
}

/* ---------------------------------------------------------------------------- much memory */

/*
 * Rows of many shapes that all have one large text, or key, the same for all, at the end of a deep path.
 */
static void
write_bomb(bool in_key)
{
	WtChunkWriter *writer = wt_chunk_writer_create(WT_CHUNK_MAX_ROWS, 3, out_of_memory);
	Text large = repeated('x', (size_t) (in_key ? 20 : 14) << 20);
	WtColumnError error;

	for (int row = 0; row < (in_key ? 16 : 8); row++)
	{
		int path = WT_PATH_ROOT;

		wt_chunk_writer_begin_row(writer, 846460800000000 + row);
		for (int i = 0; i < 6; i++)
		{
			char key[3] = {(char) ('a' + i), (char) (row >> i & 1 ? '1' : '0'), '\0'};

			path = wt_chunk_writer_path(writer, WT_PATH_ROOT, key, 2);
			(void) wt_chunk_writer_value(writer, path, WT_KIND_NULL, "", 0);
		}
		path = wt_chunk_writer_path(writer, WT_PATH_ROOT, "deep", 4);
		for (int i = 0; i < 20; i++)
			path = wt_chunk_writer_path(writer, path, "k", 1);
		if (in_key)
			path = wt_chunk_writer_path(writer, path, large.bytes, large.length);
		(void) wt_chunk_writer_value(writer, path, WT_KIND_STRING,
									 in_key ? "" : large.bytes,
									 in_key ? 0 : large.length);
		wt_chunk_writer_end_row(writer);
	}
	if (!wt_chunk_writer_finish(writer, number, put, NULL, &error))
		complain(error.text);
	wt_chunk_writer_destroy(writer);
}

/* -------------------------------------------------------------------------------- output */

static void
print_chunk(void)
{
	for (int i = 0; i < n_made; i++)
	{
		printf("%d ", made[i].number);
		for (size_t k = 0; k < made[i].length; k++)
		{
			putchar("0123456789abcdef"[(uint8_t) made[i].bytes[k] >> 4]);
			putchar("0123456789abcdef"[made[i].bytes[k] & 15]);
		}
		putchar('\n');
		free(made[i].bytes);
	}
	n_made = 0;
}

static void
make_lies(WtArena *arena, WtChunk *chunk)
{
	bool bytes = below(2) == 0;

	memset(told, 0, sizeof(told));
	for (int i = below(bytes ? 2 : 3) + !bytes; i > 0; i--)
		told[below(N_LIES)] = true;
	of_hundred = below(3) ? 1 + below(10) : 100;
	write_chunk(chunk);
	if (bytes)
		spoil_bytes();
	printf("lie%s", bytes ? " bytes" : "");
	for (int i = 0; i < N_LIES; i++)
		if (told[i])
			printf(" %s,", lies[i]);
	if (below(2))
	{
		printf(" changes");
		write_overlays(arena, chunk->n_rows);
	}
	putchar('\n');
	print_chunk();
}

int
main(int argc, char **argv)
{
	WtArena *arena = wt_arena_create(out_of_memory);

	if (argc != 4)
		complain("lying_chunks CHUNK SEED COUNT < parts");
	number = (int32_t) atoi(argv[1]);
	if (strcmp(argv[2], "constant") == 0 || strcmp(argv[2], "keys") == 0)
	{
		write_bomb(*argv[2] == 'k');
		printf("lie %s\n", argv[2]);
		print_chunk();
	}
	else
	{
		read_parts();
		for (int i = 0; i < atoi(argv[3]); i++)
		{
			state = 0x9E3779B97F4A7C15u ^ (strtoull(argv[2], NULL, 10) + (uint64_t) i);
			for (int k = 0; k < 9; k++)
				(void) any();
			wt_arena_reset(arena);
			make_lies(arena, open_chunk(arena));
		}
	}
	wt_arena_destroy(arena);
	return 0;
}
