/*
 * summarize.h
 *		BRIN indexes of the log table, kept up with what comes.
 */
#ifndef WT_SUMMARIZE_H
#define WT_SUMMARIZE_H

/*
 * Has BRIN indexes know of all parts of the table that are full by now.  What somebody else
 * has locked is left for the next time.  Needs a transaction, which should end soon; raises.
 */
extern void wt_upkeep_summarize(Oid relation);

#endif
