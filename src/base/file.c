/*
 * file.c
 *		Small files that settings name: see file.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

bool
wt_file_fail(WtFileError *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return false;
}

/* As PostgreSQL has it for its own key. */
static bool
check_permissions(const char *what, const char *path, const struct stat *st,
				  WtFileError *error)
{
	if (st->st_uid != geteuid() && st->st_uid != 0)
	{
		error->hint = "It must belong to the user that the server runs as, or to root.";
		return wt_file_fail(error, "the %s \"%s\" belongs to somebody else", what, path);
	}
	if (st->st_mode &
		(st->st_uid == geteuid() ? S_IRWXG | S_IRWXO : S_IWGRP | S_IXGRP | S_IRWXO))
	{
		error->hint =
			"Its mode must be 0600 or less where it belongs to the user that the "
			"server runs as, 0640 or less where it belongs to root.";
		return wt_file_fail(error,
							"others have access to the %s \"%s\": its mode is %04o", what,
							path, (unsigned int) st->st_mode & 07777);
	}
	return true;
}

void
wt_file_forget(WtFile *file)
{
	if (file->bytes)
		explicit_bzero(file->bytes, file->length);
	free(file->bytes);
	file->bytes = NULL;
	file->length = 0;
}

static bool
read_all(int fd, const char *what, const char *path, size_t size, WtFile *file,
		 WtFileError *error)
{
	file->bytes = malloc(size + 1);
	file->length = 0;
	if (!file->bytes)
		return wt_file_fail(error, "out of memory");
	while (file->length < size)
	{
		ssize_t n = read(fd, file->bytes + file->length, size - file->length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return wt_file_fail(error, "could not read the %s \"%s\": %s", what, path,
								strerror(errno));
		if (n == 0)
			break;
		file->length += (size_t) n;
	}
	file->bytes[file->length] = '\0';
	return true;
}

bool
wt_file_read(const char *what, const char *path, bool is_secret, size_t max, WtFile *file,
			 WtFileError *error)
{
	/* Not to wait for a writer, where it is a pipe. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	bool ok;

	if (fd < 0)
		return wt_file_fail(error, "could not open the %s \"%s\": %s", what, path,
							strerror(errno));
	if (fstat(fd, &st) != 0)
		ok = wt_file_fail(error, "could not read the %s \"%s\": %s", what, path,
						  strerror(errno));
	else if (!S_ISREG(st.st_mode))
		ok = wt_file_fail(error, "the %s \"%s\" is not a regular file", what, path);
	else if ((size_t) st.st_size > max)
		ok = wt_file_fail(error, "the %s \"%s\" is larger than %zu bytes", what, path,
						  max);
	else
		ok = (!is_secret || check_permissions(what, path, &st, error)) &&
			 read_all(fd, what, path, (size_t) st.st_size, file, error);
	close(fd);
	return ok;
}
