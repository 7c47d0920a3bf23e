/*
 * compat.h
 *		Every #if on a version of PostgreSQL or libmicrohttpd that there is.
 *
 * Included after postgres.h where PostgreSQL is meant; the listener and framing.c, which
 * know no PostgreSQL, use the second half alone.
 */
#ifndef WT_COMPAT_H
#define WT_COMPAT_H

#ifdef PG_VERSION_NUM

#if PG_VERSION_NUM < 150000
#error "WindTrap needs PostgreSQL 15 or newer"
#endif

/* Since 16 postgres.h does not bring these macros. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Since 18 commands/explain.h does not bring what a scan's lines are written with. */
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

/* Since 16 what a check hook gives as "extra" is the GUC machinery's to free. */
#if PG_VERSION_NUM >= 160000
#define wt_guc_malloc(size) guc_malloc(LOG, size)
#define wt_guc_free(p) guc_free(p)
#else
#define wt_guc_malloc(size) malloc(size)
#define wt_guc_free(p) free(p)
#endif

/* Since 16 a check hook names its own error code through a function of guc.h. */
#if PG_VERSION_NUM >= 160000
#include "utils/guc_hooks.h"
#endif

/* Since 16 one function says who owns an object of whatever kind. */
#if PG_VERSION_NUM >= 160000
#include "catalog/pg_class.h"
#define wt_owns_relation(relation, role)                                                 \
	object_ownercheck(RelationRelationId, relation, role)
#else
#define wt_owns_relation(relation, role) pg_class_ownercheck(relation, role)
#endif

/*
 * Whether synchronous_standby_names names anybody: minor releases of 2025 made a status
 * word of what was a boolean.  For those who include replication/walsender_private.h.
 */
#ifdef SYNC_STANDBY_DEFINED
#define wt_sync_standbys_defined()                                                       \
	((((volatile WalSndCtlData *) WalSndCtl)->sync_standbys_status &                     \
	  SYNC_STANDBY_DEFINED) != 0)
#else
#define wt_sync_standbys_defined()                                                       \
	(((volatile WalSndCtlData *) WalSndCtl)->sync_standbys_defined)
#endif

/* 16 says that a session is looked up by its place, not by its number. */
#if PG_VERSION_NUM >= 160000
#define wt_local_backend_status(i) pgstat_get_local_beentry_by_index(i)
#else
#define wt_local_backend_status(i) pgstat_fetch_stat_local_beentry(i)
#endif

/* 17 hangs wait event sets on resource owners instead of memory contexts. */
#if PG_VERSION_NUM >= 170000
#define wt_create_wait_event_set(context, n) CreateWaitEventSet(NULL, n)
#else
#define wt_create_wait_event_set(context, n) CreateWaitEventSet(context, n)
#endif

/* 16 asks whether only summarizing indexes are meant: a changed row may be new to them alone. */
#if PG_VERSION_NUM >= 160000
#define wt_insert_index_tuples(target, slot, estate)                                     \
	ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL, false)
#define wt_insert_new_entries(target, slot, estate, which)                               \
	((which) == TU_None ? NIL                                                            \
						: ExecInsertIndexTuples(target, slot, estate, false, false,      \
												NULL, NIL, (which) == TU_Summarizing))
#else
#define wt_insert_index_tuples(target, slot, estate)                                     \
	ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL)
#define wt_insert_new_entries(target, slot, estate, which)                               \
	((which) ? wt_insert_index_tuples(target, slot, estate) : NIL)
#endif

/* 16 asks whether columns may be missing. */
#if PG_VERSION_NUM >= 160000
#define wt_build_attrmap(source, target)                                                 \
	build_attrmap_by_name_if_req(source, target, false)
#else
#define wt_build_attrmap(source, target) build_attrmap_by_name_if_req(source, target)
#endif

/* 16 counts the partitions that an index is made on.  For those who include commands/defrem.h. */
#if PG_VERSION_NUM >= 160000
#define wt_define_index(table, statement)                                                \
	DefineIndex(table, statement, InvalidOid, InvalidOid, InvalidOid, -1, false, false,  \
				false, false, true)
#else
#define wt_define_index(table, statement)                                                \
	DefineIndex(table, statement, InvalidOid, InvalidOid, InvalidOid, false, false,      \
				false, false, true)
#endif

/* 18 has unsigned bytes for what is encoded in base64. */
#if PG_VERSION_NUM >= 180000
#define wt_b64_encode(source, size, out, room)                                           \
	pg_b64_encode((const uint8 *) (source), size, out, room)
#else
#define wt_b64_encode(source, size, out, room) pg_b64_encode(source, size, out, room)
#endif

/* 17 makes an array by encoding of the names that iconv has.  For those who include mb/pg_wchar.h. */
#ifdef PG_WCHAR_H
static inline const char *
wt_encoding_charset(int encoding)
{
#if PG_VERSION_NUM >= 170000
	return PG_VALID_ENCODING(encoding) ? pg_enc2gettext_tbl[encoding] : NULL;
#else
	for (const pg_enc2gettext *e = pg_enc2gettext_tbl; e->name; e++)
		if ((int) e->encoding == encoding)
			return e->name;
	return NULL;
#endif
}
#endif

/* 17 renames where transactions are counted.  For those who include access/transam.h. */
#if PG_VERSION_NUM >= 170000
#define wt_transam_variables TransamVariables
#else
#define wt_transam_variables ShmemVariableCache
#endif

/* 18 asks whether a deferrable primary key will do.  For those who include utils/rel.h. */
#if PG_VERSION_NUM >= 180000
#define wt_primary_key_index(relation) RelationGetPrimaryKeyIndex(relation, false)
#else
#define wt_primary_key_index(relation) RelationGetPrimaryKeyIndex(relation)
#endif

/* 18 counts an index scan's searches.  For those who include access/genam.h. */
#if PG_VERSION_NUM >= 180000
#define wt_index_beginscan(table, index, snapshot, n_keys)                               \
	index_beginscan(table, index, snapshot, NULL, n_keys, 0)
#else
#define wt_index_beginscan(table, index, snapshot, n_keys)                               \
	index_beginscan(table, index, snapshot, n_keys, 0)
#endif

/* 16 says which indexes a changed row needs new entries in.  For those who include access/tableam.h. */
#ifdef TABLEAM_H
#if PG_VERSION_NUM >= 160000
typedef TU_UpdateIndexes WtNewEntries;
#define WT_ALL_NEW_ENTRIES TU_All
#else
typedef bool WtNewEntries;
#define WT_ALL_NEW_ENTRIES true
#endif

static inline TM_Result
wt_table_tuple_update(Relation table, ItemPointer place, TupleTableSlot *slot,
					  CommandId command, TM_FailureData *failure, LockTupleMode *mode,
					  WtNewEntries *new_entries)
{
	return table_tuple_update(table, place, slot, command, InvalidSnapshot,
							  InvalidSnapshot, true, failure, mode, new_entries);
}
#endif

/* 16 asks as whom.  For those who include commands/tablecmds.h. */
#if PG_VERSION_NUM >= 160000
#define wt_truncate_tables(tables, oids)                                                 \
	ExecuteTruncateGuts(tables, oids, NIL, DROP_RESTRICT, false, false)
#else
#define wt_truncate_tables(tables, oids)                                                 \
	ExecuteTruncateGuts(tables, oids, NIL, DROP_RESTRICT, false)
#endif

/*
 * 17 and 18 ask for more of the path of a foreign scan (conditions that it enforces in a join,
 * disabled nodes).  For those who include optimizer/pathnode.h.
 */
#if PG_VERSION_NUM >= 180000
#define wt_foreignscan_path(root, rel, rows, startup, total, pathkeys, outer, private)   \
	create_foreignscan_path(root, rel, NULL, rows, 0, startup, total, pathkeys, outer,   \
							NULL, NIL, private)
#elif PG_VERSION_NUM >= 170000
#define wt_foreignscan_path(root, rel, rows, startup, total, pathkeys, outer, private)   \
	create_foreignscan_path(root, rel, NULL, rows, startup, total, pathkeys, outer,      \
							NULL, NIL, private)
#else
#define wt_foreignscan_path(root, rel, rows, startup, total, pathkeys, outer, private)   \
	create_foreignscan_path(root, rel, NULL, rows, startup, total, pathkeys, outer,      \
							NULL, private)
#endif

/* 18 says how a path key sorts by a comparison, not by a B-tree's strategy. */
#if PG_VERSION_NUM >= 180000
#define wt_pathkey_ascends(pathkey) ((pathkey)->pk_cmptype == COMPARE_LT)
#else
#define wt_pathkey_ascends(pathkey) ((pathkey)->pk_strategy == BTLessStrategyNumber)
#endif

/* The same for what is above scans. */
#if PG_VERSION_NUM >= 180000
#define wt_foreign_upper_path(root, rel, target, rows, startup, total, private)          \
	create_foreign_upper_path(root, rel, target, rows, 0, startup, total, NIL, NULL,     \
							  NIL, private)
#elif PG_VERSION_NUM >= 170000
#define wt_foreign_upper_path(root, rel, target, rows, startup, total, private)          \
	create_foreign_upper_path(root, rel, target, rows, startup, total, NIL, NULL, NIL,   \
							  private)
#else
#define wt_foreign_upper_path(root, rel, target, rows, startup, total, private)          \
	create_foreign_upper_path(root, rel, target, rows, startup, total, NIL, NULL, private)
#endif

/* Since 16 what conditions make superfluous of GROUP BY and DISTINCT is left out beforehand. */
#if PG_VERSION_NUM >= 160000
#define wt_group_clause(root) ((root)->processed_groupClause)
#define wt_distinct_clause(root) ((root)->processed_distinctClause)
#else
#define wt_group_clause(root) ((root)->parse->groupClause)
#define wt_distinct_clause(root) ((root)->parse->distinctClause)
#endif

#endif /* PG_VERSION_NUM */

#ifdef MHD_VERSION

/*
 * How strictly MHD reads requests: 1.0 has the discipline level, 0.9.75 its forerunner,
 * which knows much less (see framing.h for what is done about that).
 */
#if MHD_VERSION >= 0x01000000
#define WT_MHD_STRICT MHD_OPTION_CLIENT_DISCIPLINE_LVL
#else
#define WT_MHD_STRICT MHD_OPTION_STRICT_FOR_CLIENT
#endif

/*
 * Since 1.0 a connection that is handed to MHD waits for its next run, as if another thread
 * had brought it, unless it is told that there is one thread; we go on with it at once.
 */
#if MHD_VERSION >= 0x00097707
#define WT_MHD_ONE_THREAD MHD_USE_NO_THREAD_SAFETY
#else
#define WT_MHD_ONE_THREAD 0U
#endif

/*
 * Since 1.0 MHD refuses some requests without an answer; we give one, for which it must not
 * shut the socket down before it tells us that the connection is over.  (What else this option
 * does is to try to read from a new connection before it is polled.)
 */
#if MHD_VERSION >= 0x01000000
#define WT_MHD_LEAVES_CLOSING MHD_USE_TURBO
#else
#define WT_MHD_LEAVES_CLOSING 0U
#endif

/*
 * Below 1.0 a request's head lies in MHD's memory as it came, with only the separators
 * overwritten by NULs, so that it can be checked for what MHD lets pass.
 */
#define WT_MHD_HEAD_IN_PLACE (MHD_VERSION < 0x01000000)

/*
 * Below 1.0.5 something can still be smuggled past MHD's framing in what it does not
 * show, so nothing may follow a proxy's request on its connection.
 */
#define WT_MHD_FRAMING_IS_LOOSE (MHD_VERSION < 0x01000500)

/*
 * Whether this is a code with which MHD refuses nothing but request lines, before there is a
 * request: known of versions below 1.0.
 */
#define WT_MHD_REFUSES_TARGET(code)                                                      \
	(MHD_VERSION < 0x01000000 &&                                                         \
	 ((code) == MHD_HTTP_URI_TOO_LONG || (code) == MHD_HTTP_HTTP_VERSION_NOT_SUPPORTED))

#endif /* MHD_VERSION */

#endif
