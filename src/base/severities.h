/*
 * severities.h
 *		How bad an event is, in one set of words: OpenTelemetry's, from the least to the worst.
 */
#ifndef WT_SEVERITIES_H
#define WT_SEVERITIES_H

typedef enum WtSeverity
{
	WT_SEVERITY_NONE, /* nothing says it */
	WT_SEVERITY_TRACE,
	WT_SEVERITY_DEBUG,
	WT_SEVERITY_INFO,
	WT_SEVERITY_WARNING,
	WT_SEVERITY_ERROR,
	WT_SEVERITY_FATAL,
	WT_N_SEVERITIES
} WtSeverity;

static const char *const wt_severity_names[WT_N_SEVERITIES] = {
	"", "trace", "debug", "info", "warning", "error", "fatal"};

#endif
