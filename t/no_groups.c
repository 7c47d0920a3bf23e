/*
 * no_groups.c
 *		In a user namespace of one user there are no groups that a process could give up: what
 *		wants to has succeeded.  Preloaded into keepalived by t/077_address.pl.
 */
#include <grp.h>

int
setgroups(size_t n, const gid_t *groups)
{
	(void) n;
	(void) groups;
	return 0;
}
