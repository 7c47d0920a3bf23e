/*
 * refused_view.h
 *		Where the record of refused requests lies, and the views of it.
 */
#ifndef WT_REFUSED_VIEW_H
#define WT_REFUSED_VIEW_H

#include "http/refused.h"

/*
 * For a worker: the record, which the first one makes.  NULL where there is no memory for
 * it, which is said in the log; the worker goes on without.
 */
extern WtRefused *wt_refused_attach(void);

#endif
