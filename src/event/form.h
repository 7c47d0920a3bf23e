/*
 * form.h
 *		application/x-www-form-urlencoded: bodies of forms, and query strings.
 *
 * Plain C: raises nothing.
 */
#ifndef WT_FORM_H
#define WT_FORM_H

#include "event/json.h"

/*
 * Parses `name=value&...` into the tokens of one object of strings; a name that comes
 * more than once gets an array of its values.  Anything is a form of some kind, so
 * the only failure is WT_JSON_OUT_OF_MEMORY.  What comes out may be any bytes: the
 * caller checks that it is text.
 */
extern WtJsonResult wt_form_parse(WtJson *json, const char *text, size_t length);

#endif
