/*
 * templates.h
 *		Texts as templates, without their runs of digits, and the runs.
 *
 *		"port 4242 closed", "port 80 closed": template "port 0 closed" twice; 4242, 80
 *
 * A template has a single WT_TEMPLATE_GAP where a text has a run of digits, and no other
 * digits.  Messages of programs have few templates, which compress well; and what a search for
 * words finds in a template it finds in all texts that are made of it.
 */
#ifndef WT_COLUMN_TEMPLATES_H
#define WT_COLUMN_TEMPLATES_H

#include "column/integers.h"
#include "column/texts.h"

/*
 * Takes texts apart: the templates, most frequent first, and the code of each text's, to
 * body; the runs to digits.  The templates' count, or -1 where there are too many of them
 * for it to pay; then nothing was added.  The arena is for what is needed meanwhile.
 */
extern int wt_templates_add(WtArena *arena, WtIntegerPacker *packer, const WtTexts *texts,
							WtBody *body, WtBody *digits);

typedef struct WtRun
{
	uint32_t at; /* in digits */
	uint32_t length;
} WtRun;

typedef struct WtTemplates
{
	WtTexts templates;
	int n_values;
	const uint16_t *codes; /* a value's template */
	uint32_t *first_gap;   /* of each template, in gaps; one more at the end */
	uint32_t *gaps;		   /* where they lie in their template */
	/* Of the digits: their streams, and how many values each template has, once that is asked. */
	WtCursor streams[3];
	uint32_t *counts;
	/* And as runs: NULL before wt_templates_find_runs(). */
	uint32_t *start; /* of each value, in runs; one more at the end */
	WtRun *runs;
	const char *digits;
	uint32_t longest; /* text, in bytes */
	size_t total;	  /* of all texts, each with a NUL */
} WtTemplates;

/*
 * Finds the gaps of templates, once templates, n_values and codes (which are below their
 * count) are set.
 */
extern void wt_templates_find_gaps(WtArena *arena, WtTemplates *templates);

/* Reads the streams of digits.  *most as of a stream.  false: they are bad. */
extern bool wt_templates_read_digits(WtArena *arena, WtCursor *cursor, size_t *most,
									 WtTemplates *templates);

/*
 * Finds the runs of all values.  *budget is how much memory may be taken, of which is taken off
 * what is.  false: the digits are bad, or it is too much.
 */
extern bool wt_templates_find_runs(WtArena *arena, size_t *budget,
								   WtTemplates *templates);

/*
 * The text of one value, without the runs of the others: in a tenth of the time.  false: as above;
 * what is not on the way to the value is not looked at.
 */
extern bool wt_templates_text(WtArena *arena, size_t *budget, WtTemplates *templates,
							  int value, WtText *text);

/*
 * Writes a value's text, at most `longest` bytes, and gives its length.  WT_STREAM_SLACK bytes
 * behind it may be written over.
 */
extern size_t wt_templates_print(const WtTemplates *templates, int value, char *to);

/* Texts in a body: with a NUL behind each, or with their lengths where some have a NUL. */
extern void wt_texts_add(WtIntegerPacker *packer, WtBody *body, const WtTexts *texts);
extern bool wt_texts_next(WtArena *arena, WtCursor *cursor, size_t *most, int n,
						  WtTexts *texts);

#endif
