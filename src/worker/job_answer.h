/*
 * job_answer.h
 *		What a job is answered: in WindTrap's words, or in those of its protocol.
 */
#ifndef WT_JOB_ANSWER_H
#define WT_JOB_ANSWER_H

#include "http/listener.h"
#include "worker/job.h"

/* Answers a job that is done with; uses the current memory context. */
extern void wt_job_answer(WtListener *listener, const WtJob *job);

#endif
