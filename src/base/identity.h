/*
 * identity.h
 *		Who a process of ours is, and acting as the owner of a table.
 */
#ifndef WT_IDENTITY_H
#define WT_IDENTITY_H

/*
 * Connects a background process to a database, as the bootstrap superuser and nobody else:
 * what ALTER DATABASE or ALTER ROLE has set there for sessions of people, a role, another
 * session user, no row security, transactions that only read, is not for it.
 */
extern void wt_connect(Oid database);

/*
 * Has wt_collector say who this collector is: cluster_name, or the host's name.  wt_connect does
 * it; a session of the user's that asks must.
 */
extern void wt_introduce(void);

/*
 * Does what follows as another role, in a security-restricted operation: what the role
 * has put into the table's triggers, defaults and indexes runs too, and gains nothing
 * from our own rights, which are a superuser's.  An error restores what was; otherwise
 * wt_restore does.
 */
extern void wt_become(Oid role, Oid *saved_role, int *saved_context);
extern void wt_restore(Oid saved_role, int saved_context);

/*
 * A security-restricted operation may make no temporary table, but functions and types in
 * pg_temp it may; and a type there stands in for the system's of the same name, for
 * whoever uses the session next.  What wt_count_temporary gave before, wt_refuse_temporary
 * compares with afterwards, and raises where there is more now.  Without a temporary
 * schema, as our own processes are, both cost nothing.
 */
extern int64 wt_count_temporary(void);
extern void wt_refuse_temporary(int64 before);

#endif
