/*
 * page_files.c
 *		The files of the viewer's page: see page_files.h.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "http/page_files.h"

/* More files than the page will ever have. */
#define MAX_FILES 256

static const struct
{
	const char *ending;
	const char *type;
} types[] = {
	{".html", "text/html; charset=utf-8"},
	{".css", "text/css; charset=utf-8"},
	{".js", "text/javascript; charset=utf-8"},
	{".svg", "image/svg+xml"},
	{".png", "image/png"},
};

const WtPageFile *
wt_page_file_find(const char *path)
{
	const char *name = path[1] == '\0' ? "index.html" : path + 1;

	if (path[0] != '/')
		return NULL;
	for (int i = 0; i < wt_n_page_files; i++)
		if (strcmp(wt_page_files[i].name, name) == 0)
			return &wt_page_files[i];
	return NULL;
}

const char *
wt_page_file_type(const WtPageFile *file)
{
	const char *ending = strrchr(file->name, '.');

	for (size_t i = 0; ending && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(ending, types[i].ending) == 0)
			return types[i].type;
	return "application/octet-stream";
}

static char *
inflate_file(const WtPageFile *file)
{
	z_stream z = {.next_in = (unsigned char *) (uintptr_t) file->gzip,
				  .avail_in = (uInt) file->gzip_size};
	char *plain = malloc(file->size + 1);

	if (!plain)
		return NULL;
	z.next_out = (unsigned char *) plain;
	z.avail_out = (uInt) file->size + 1;
	if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK)
	{
		free(plain);
		return NULL;
	}
	if (inflate(&z, Z_FINISH) != Z_STREAM_END || z.total_out != file->size)
	{
		free(plain);
		plain = NULL;
	}
	inflateEnd(&z);
	return plain;
}

const char *
wt_page_file_plain(const WtPageFile *file)
{
	/* Few clients ask for it: made for the first one, and kept. */
	static char *plain[MAX_FILES];
	ptrdiff_t i = file - wt_page_files;

	if (i >= MAX_FILES)
		return NULL;
	if (!plain[i])
		plain[i] = inflate_file(file);
	return plain[i];
}

bool
wt_page_file_is_known(const WtPageFile *file, const char *if_none_match)
{
	const char *own = file->etag + strlen("W/");
	const char *p = if_none_match;

	/* Tags, weak or not, with commas between them; none of ours has a comma in it. */
	while (*p)
	{
		size_t length;

		p += strspn(p, " \t,");
		if (p[0] == 'W' && p[1] == '/')
			p += 2;
		length = strcspn(p, " \t,");
		if ((length == 1 && *p == '*') ||
			(length == strlen(own) && strncmp(p, own, length) == 0))
			return true;
		p += length;
	}
	return false;
}
