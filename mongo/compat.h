/*
 * compat.h
 *		Every #if on a version of PostgreSQL or libmongoc that there is in windtrap_mongo.
 *
 * Included after postgres.h.
 */
#ifndef WM_COMPAT_H
#define WM_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "windtrap_mongo needs PostgreSQL 15 or newer"
#endif

/* Since 16 COPY hands rows over in batches; before, they are gathered here. */
#define WM_COPY_COMES_IN_ROWS (PG_VERSION_NUM < 160000)

/* 17 tells paths of the clauses that their join is restricted by, 18 of disabled nodes. */
#if PG_VERSION_NUM >= 180000
#define wm_create_path(root, rel, rows, startup, total, keys, outer, private)            \
	create_foreignscan_path(root, rel, NULL, rows, 0, startup, total, keys, outer, NULL, \
							NIL, private)
#elif PG_VERSION_NUM >= 170000
#define wm_create_path(root, rel, rows, startup, total, keys, outer, private)            \
	create_foreignscan_path(root, rel, NULL, rows, startup, total, keys, outer, NULL,    \
							NIL, private)
#else
#define wm_create_path(root, rel, rows, startup, total, keys, outer, private)            \
	create_foreignscan_path(root, rel, NULL, rows, startup, total, keys, outer, NULL,    \
							private)
#endif

/* 18 orders by comparison types instead of the strategies of btree. */
#if PG_VERSION_NUM >= 180000
#define wm_pathkey_descends(key) ((key)->pk_cmptype == COMPARE_GT)
#else
#define wm_pathkey_descends(key) ((key)->pk_strategy == BTGreaterStrategyNumber)
#endif

/*
 * As whom a scan or a modification runs: the owner of a view it came through, or the user.
 * Since 16 that is no longer found in the range table.
 */
#if PG_VERSION_NUM >= 160000
#define wm_scan_owner(node) (((ForeignScan *) (node)->ss.ps.plan)->checkAsUser)
#define wm_modify_owner(rel, estate) ExecGetResultRelCheckAsUser(rel, estate)
#else
#define wm_scan_owner(node)                                                              \
	(exec_rt_fetch(((Scan *) (node)->ss.ps.plan)->scanrelid, (node)->ss.ps.state)        \
		 ->checkAsUser)
#define wm_modify_owner(rel, estate)                                                     \
	((rel)->ri_RangeTableIndex != 0                                                      \
		 ? exec_rt_fetch((rel)->ri_RangeTableIndex, estate)->checkAsUser                 \
	 : (rel)->ri_RootResultRelInfo != NULL &&                                            \
			 (rel)->ri_RootResultRelInfo->ri_RangeTableIndex != 0                        \
		 ? exec_rt_fetch((rel)->ri_RootResultRelInfo->ri_RangeTableIndex, estate)        \
			   ->checkAsUser                                                             \
		 : InvalidOid)
#endif

/* Whether a collation compares bytes: 18 keeps that with the locale. */
#if PG_VERSION_NUM >= 180000
#define wm_collation_is_c(collation)                                                     \
	(pg_newlocale_from_collation(collation)->collate_is_c)
#else
#define wm_collation_is_c(collation) lc_collate_is_c(collation)
#endif

/* 18 has divided explain.h, and asks for what a delay is. */
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#define wm_vacuum_delay_point() vacuum_delay_point(true)
#else
#define wm_vacuum_delay_point() vacuum_delay_point()
#endif

/* 18 has unsigned bytes for binary data in base64. */
#if PG_VERSION_NUM >= 180000
#define wm_b64_encode(source, size, out, room)                                           \
	pg_b64_encode((const uint8 *) (source), size, out, room)
#define wm_b64_decode(source, size, out, room)                                           \
	pg_b64_decode(source, size, (uint8 *) (out), room)
#else
#define wm_b64_encode(source, size, out, room)                                           \
	pg_b64_encode((const char *) (source), size, out, room)
#define wm_b64_decode(source, size, out, room)                                           \
	pg_b64_decode(source, size, (char *) (out), room)
#endif

#endif
