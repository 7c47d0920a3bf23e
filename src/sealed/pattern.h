/*
 * pattern.h
 *		Patterns of LIKE and ILIKE, decided by bytes where that is what PostgreSQL would say.
 */
#ifndef WT_PATTERN_H
#define WT_PATTERN_H

#include "column/chunk_reader.h"
#include "sealed/verdict.h"

typedef enum WtPatternKind
{
	WT_PATTERN_UNKNOWN, /* nothing can be said */
	WT_PATTERN_ALL,		/* % */
	WT_PATTERN_EXACT,	/* no wildcard */
	WT_PATTERN_PREFIX,	/* literal% */
	WT_PATTERN_SUFFIX,	/* %literal */
	WT_PATTERN_WITHIN,	/* %literal% */
	WT_PATTERN_OTHER	/* a text without the literal does not match; one with it may */
} WtPatternKind;

typedef struct WtPattern
{
	WtPatternKind kind;
	bool any_case;		 /* of ASCII; literal is in lower case then */
	const char *literal; /* of pattern's own bytes, or a copy of them in lower case */
	size_t length;
	bool has_digits;
	/* The literal as a template has it: runs of digits are one WT_TEMPLATE_GAP. */
	const char *as_template;
	size_t template_length;
} WtPattern;

/* A pattern under a collation, in the current memory context. */
extern void wt_pattern_make(WtPattern *pattern, const char *text, size_t length,
							bool any_case, Oid collation);

/* Whether a text matches. */
extern WtVerdict wt_pattern_match(const WtPattern *pattern, const char *text,
								  size_t length);

/*
 * The same for many texts.  templates: they are templates, of which those that have no gap in
 * what is looked for are decided; for the others the verdict is WT_UNKNOWN, unless it is
 * WT_FALSE whatever the digits are.
 */
extern void wt_pattern_match_all(const WtPattern *pattern, const WtTexts *texts,
								 bool templates, uint8 *verdicts);

#endif
