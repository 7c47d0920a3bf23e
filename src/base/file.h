/*
 * file.h
 *		Small files that settings name: certificates, keys, tokens.
 *
 * Plain C: raises nothing.
 */
#ifndef WT_FILE_H
#define WT_FILE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct WtFile
{
	unsigned char *bytes; /* with a NUL behind them */
	size_t length;
} WtFile;

typedef struct WtFileError
{
	char message[256]; /* a sentence, without a full stop */
	const char *hint;  /* NULL: none */
} WtFileError;

/* Says what is wrong; gives false. */
extern bool wt_file_fail(WtFileError *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Reads a regular file of at most max bytes; what: what it is, for the error.  A secret must be
 * readable by its owner alone.  False, and *error, where it cannot be, or must not be, read.
 * The file is given back by wt_file_forget in any case.
 */
extern bool wt_file_read(const char *what, const char *path, bool is_secret, size_t max,
						 WtFile *file, WtFileError *error);

/* Gives it back; its bytes do not stay in memory that others will get. */
extern void wt_file_forget(WtFile *file);

#endif
