/*
 * patience.h
 *		How long processes of ours have for what others wait for.
 *
 * Beneath memcheck, for which PostgreSQL is built with USE_VALGRIND, all takes many times as long: a
 * log table that cannot be made in the time that a sender waits would never be made.
 */
#ifndef WT_PATIENCE_H
#define WT_PATIENCE_H

#ifdef USE_VALGRIND
#define WT_PATIENCE(ms) (10 * (ms))
#else
#define WT_PATIENCE(ms) (ms)
#endif

#endif
