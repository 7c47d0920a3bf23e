/*
 * user_functions.c
 *		Whether expressions call functions of users.
 */
#include "postgres.h"

#include "access/transam.h"
#include "nodes/nodeFuncs.h"

#include "base/compat.h"
#include "sealed/user_functions.h"

static bool
is_of_users(Oid function, void *context)
{
	return function >= FirstGenbkiObjectId;
}

static bool
walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, is_of_users, context) ||
		   expression_tree_walker(node, walker, context);
}

bool
wt_calls_user_functions(Node *expression)
{
	return walker(expression, NULL);
}
