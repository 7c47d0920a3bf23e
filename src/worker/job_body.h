/*
 * job_body.h
 *		What the body of a job goes through before it is decoded.
 */
#ifndef WT_JOB_BODY_H
#define WT_JOB_BODY_H

#include "worker/job.h"

/*
 * Inflates, converts and unpacks the body, where it has to be, and takes the request's key and
 * time_field.  false: there is nothing to decode, and job->decoded is set; the request is no
 * event's, or it is refused.
 */
extern bool wt_job_open_body(WtJob *job);

#endif
