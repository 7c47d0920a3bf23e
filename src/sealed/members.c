/*
 * members.c
 *		Finds the columns of a member: those of its own path, and those above and beneath it.
 */
#include "postgres.h"

#include "nodes/value.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "sealed/members.h"

/* What a path of the chunk is to a member's. */
enum
{
	ELSEWHERE,
	ABOVE, /* the document itself, or an object on the way */
	HERE,
	BENEATH
};

WtKeys
wt_keys_of_path(List *path)
{
	WtKeys keys = {0};
	ListCell *lc;

	keys.keys = palloc(Max(list_length(path), 1) * sizeof(char *));
	keys.lengths = palloc(Max(list_length(path), 1) * sizeof(size_t));
	foreach (lc, path)
	{
		keys.keys[keys.n] = strVal(lfirst(lc));
		keys.lengths[keys.n] = strlen(keys.keys[keys.n]);
		keys.n++;
	}
	return keys;
}

WtKeys *
wt_keys_of_paths(List *paths, int *n)
{
	WtKeys *result = palloc(Max(list_length(paths), 1) * sizeof(WtKeys));
	ListCell *lc;

	*n = 0;
	foreach (lc, paths)
		result[(*n)++] = wt_keys_of_path(lfirst(lc));
	return result;
}

/* Marks in relation, by path, what each is to the member's; those marked already may stay. */
static void
relate(const WtChunk *chunk, const WtKeys *member, uint8 *relation)
{
	int at = WT_PATH_ROOT;
	int i;

	memset(relation, ELSEWHERE, chunk->n_paths);
	for (i = 0; i < member->n && at >= 0; i++)
	{
		relation[at] = ABOVE;
		at = wt_chunk_find_path(chunk, at, member->keys[i], member->lengths[i]);
	}
	if (at < 0)
		return;
	relation[at] = HERE;
	/* A parent comes before its children. */
	for (i = at + 1; i < chunk->n_paths; i++)
		if (chunk->paths[i].parent >= 0 && relation[chunk->paths[i].parent] >= HERE)
			relation[i] = BENEATH;
}

void
wt_members_needed(const WtChunk *chunk, const WtKeys *paths, int n, bool *needed)
{
	uint8 *relation = palloc(chunk->n_paths);

	for (int i = 0; i < n; i++)
	{
		relate(chunk, &paths[i], relation);
		for (int c = chunk->n_extras + 1; c < chunk->n_columns; c++)
			needed[c] |= relation[chunk->columns[c].path] != ELSEWHERE;
	}
	pfree(relation);
}

void
wt_member_columns(WtChunkScan *scan, const WtKeys *member, WtMemberColumns *columns)
{
	const WtChunk *chunk = scan->chunk;
	MemoryContext old = MemoryContextSwitchTo(scan->chunk_context);
	uint8 *relation = palloc(chunk->n_paths);

	relate(chunk, member, relation);
	columns->n = 0;
	columns->columns = palloc(WT_N_KINDS * sizeof(int));
	columns->documents = NULL;
	for (int c = chunk->n_extras + 1; c < chunk->n_columns; c++)
	{
		const WtColumn *column = &chunk->columns[c];
		bool document = false;

		switch (relation[column->path])
		{
			case HERE:
				/* One a kind; a directory that has more of them lies, and they are looked at. */
				if (columns->n < WT_N_KINDS && column->path != WT_PATH_ROOT)
					columns->columns[columns->n++] = c;
				else
					document = true;
				break;
			case BENEATH:
				document = true;
				break;
			case ABOVE:
				/* A scalar on the way has no members, the document itself may be one. */
				document =
					column->kind == WT_KIND_JSON || column->kind == WT_KIND_WHOLE ||
					(column->path == WT_PATH_ROOT && column->kind != WT_KIND_EMPTY);
				break;
			default:
				break;
		}
		if (document && column->n_values > 0)
		{
			if (columns->documents == NULL)
				columns->documents = palloc0(chunk->n_columns * sizeof(bool));
			columns->documents[c] = true;
		}
	}
	pfree(relation);
	MemoryContextSwitchTo(old);
}

const bool *
wt_member_shapes(WtChunkScan *scan, const WtMemberColumns *columns)
{
	int n_shapes;
	const WtShape *shapes;
	bool *documents;

	if (columns->documents == NULL)
		return NULL;
	wt_chunk_scan_want(scan, WT_COLUMN_SHAPES, WT_WANT_VALUES);
	shapes = wt_chunk_shapes(scan->chunk, &n_shapes);
	documents =
		MemoryContextAllocZero(scan->chunk_context, Max(n_shapes, 1) * sizeof(bool));
	for (int i = 0; i < n_shapes; i++)
		for (int k = 0; k < shapes[i].n_columns && !documents[i]; k++)
			documents[i] = columns->documents[shapes[i].columns[k]];
	return documents;
}
