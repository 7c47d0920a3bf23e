/*
 * local_time.c
 *		The collector's zone, for times that come without one; UTC until somebody says.
 */
#include "base/local_time.h"

static int32_t
none(int64_t second)
{
	(void) second;
	return 0;
}

int32_t (*wt_utc_offset)(int64_t second) = none;
