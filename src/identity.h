/*
 * identity.h
 *		Acting as the owner of a table.
 */
#ifndef WT_IDENTITY_H
#define WT_IDENTITY_H

/*
 * Does what follows as another role, in a security-restricted operation: what the role
 * has put into the table's triggers, defaults and indexes runs too, and gains nothing
 * from our own rights, which are a superuser's.  An error restores what was; otherwise
 * wt_restore does.
 */
extern void wt_become(Oid role, Oid *saved_role, int *saved_context);
extern void wt_restore(Oid saved_role, int saved_context);

#endif
