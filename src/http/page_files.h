/*
 * page_files.h
 *		The files of the viewer's page, which are part of the library.  Plain C.
 */
#ifndef WT_PAGE_FILES_H
#define WT_PAGE_FILES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct WtPageFile
{
	const char *name; /* in viewer/ */
	const char *etag; /* W/"…": the same however it is encoded */
	size_t size;	  /* bytes */
	const unsigned char *gzip;
	size_t gzip_size;
} WtPageFile;

/* All of them; script/embed makes these of viewer/ when the library is built. */
extern const WtPageFile wt_page_files[];
extern const int wt_n_page_files;

/* The file that a path, as it was sent, leads to; NULL: none. */
extern const WtPageFile *wt_page_file_find(const char *path);

/* Its Content-Type. */
extern const char *wt_page_file_type(const WtPageFile *file);

/* Its bytes as they are in viewer/, which last; NULL: out of memory. */
extern const char *wt_page_file_plain(const WtPageFile *file);

/* Whether the value of an If-None-Match header has the file's ETag, or any. */
extern bool wt_page_file_is_known(const WtPageFile *file, const char *if_none_match);

#endif
