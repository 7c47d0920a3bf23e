/*
 * token.c
 *		The token that is shown to another WindTrap: see token.h.
 */
#include <stdio.h>
#include <string.h>

#include "client/token.h"

#define MAX_FILE (64 * 1024)

/* A word of a line; NULL: there is no more. */
typedef struct Word
{
	const char *text;
	size_t length;
} Word;

static Word
next_word(const char **p)
{
	Word word;

	*p += strspn(*p, " \t\r");
	word.text = *p;
	word.length = strcspn(*p, " \t\r\n");
	*p += word.length;
	return word;
}

/* What a header can carry. */
static bool
is_token(Word word)
{
	for (size_t i = 0; i < word.length; i++)
		if (word.text[i] <= ' ' || word.text[i] > '~')
			return false;
	return word.length < WT_TOKEN_SIZE;
}

static void
set_token(char token[WT_TOKEN_SIZE], Word word)
{
	memcpy(token, word.text, word.length);
	token[word.length] = '\0';
}

/* Finds the token in the file's text; false: a line of it is none of either kind. */
static bool
find_token(const char *text, const char *target, char token[WT_TOKEN_SIZE])
{
	bool has_own = false;

	for (const char *p = text; *p != '\0'; p += (*p == '\n'))
	{
		Word first = next_word(&p);
		Word second = next_word(&p);

		if (next_word(&p).length > 0 || !is_token(second.length > 0 ? second : first))
			return false;
		if (second.length == 0)
		{
			if (first.length > 0 && !has_own)
				set_token(token, first);
		}
		else if (first.length == strlen(target) &&
				 memcmp(first.text, target, first.length) == 0)
		{
			set_token(token, second);
			has_own = true;
		}
	}
	return true;
}

bool
wt_http_token_read(const char *path, const char *target, char token[WT_TOKEN_SIZE],
				   WtFileError *error)
{
	WtFile file = {0};
	bool ok;

	token[0] = '\0';
	error->message[0] = '\0';
	error->hint = NULL;
	if (path[0] == '\0')
		return true;
	ok = wt_file_read("token file", path, true, MAX_FILE, &file, error);
	if (ok && !find_token((const char *) file.bytes, target, token))
	{
		token[0] = '\0';
		ok = false;
		snprintf(error->message, sizeof(error->message),
				 "the token file \"%s\" has a line that is neither a token nor a URL and "
				 "its token",
				 path);
	}
	wt_file_forget(&file);
	return ok;
}
