/*
 * target.h
 *		Where lines go: standard output, or the path of a fifo or file.  It is written to
 *		without waiting, and without changing it for others who write to it.
 *
 * Plain C: raises nothing.
 */
#ifndef WT_TARGET_H
#define WT_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

typedef enum WtTargetKind
{
	WT_TARGET_NONE,		/* it is not open */
	WT_TARGET_FILE,		/* never makes wait; what is written is appended */
	WT_TARGET_OWN,		/* a pipe or terminal, with a description of our own */
	WT_TARGET_BORROWED, /* a pipe whose description is shared */
	WT_TARGET_SOCKET	/* likewise */
} WtTargetKind;

typedef struct WtTarget
{
	WtTargetKind kind;
	int fd;
	dev_t device; /* these two tell whether it is the same as another */
	ino_t inode;
	int pump[2]; /* WT_TARGET_BORROWED: a pipe of our own, empty but for a moment */
} WtTarget;

#define WT_TARGET_ERROR_SIZE 192

/*
 * Opens a path, or, where that is NULL, standard output.  collector: standard output and error
 * are the pipe of PostgreSQL's logging collector, which must not be written to.  False, and why,
 * as a sentence without a full stop, where it cannot; *target is then as it was.
 */
extern bool wt_target_open(WtTarget *target, const char *path, bool collector,
						   char error[WT_TARGET_ERROR_SIZE]);

/* Closes it, if it is open. */
extern void wt_target_close(WtTarget *target);

/*
 * As write(2), which never waits and gives no signal.  Up to PIPE_BUF bytes are taken by a pipe
 * whole or not at all.
 */
extern ssize_t wt_target_write(const WtTarget *target, const char *p, size_t length);

#endif
