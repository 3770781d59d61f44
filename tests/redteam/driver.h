/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The red team's driver plays the core: it starts the real broker, lets it start the hostile worker
 * for one attempt after the other, and judges what became of each.
 */
#ifndef BULKHEAD_TESTS_REDTEAM_DRIVER_H
#define BULKHEAD_TESTS_REDTEAM_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "tests/redteam/attempts.h"
#include "vmm/core/workers/broker_client.h"

/* One policy that everything is tried under. */
struct environment {
	const char *policy; /* "blk" */
	const char *kind;   /* the worker whose place is taken */
	bool filter;	    /* false: seccomp off, all other stages on */
	bool has_ring;
};

/* What became of one attempt. */
struct outcome {
	int32_t pid; /* 0: not started */
	bool spawn_answered;
	char spawn_error[ERROR_MESSAGE_SIZE];
	bool violation;
	char violation_name[32];
	bool exited;
	int32_t signal;
	bool told; /* result is set */
	int64_t result;
	/* attempts against the core: */
	bool request_failed; /* the request that it should have answered */
	bool cut_off;	     /* the channel was closed for what it sent */
	char reason[ERROR_MESSAGE_SIZE];
	uint64_t longest_turn_ms; /* the loop was never kept longer */
	bool fds_leaked;
};

struct driver {
	const struct environment *environment;
	struct broker_client *broker;
	struct outcome *outcome; /* of the attempt that runs */
	struct order order;
	int listeners[3];
	int32_t bystander_pid;
	bool bystander_exited, broker_gone;
	struct channel *bystander;
	bool bystander_answered;
};

/* ---- driver_session.c ---- */

/* Start the broker for the environment, with programs from folder, and the bystander. */
int driver_start(struct driver *driver, const struct environment *environment, const char *folder,
		 const char *broker_program, struct error *err);
void driver_stop(struct driver *driver);

/* Serve the broker and fd (may be -1, its events ignored) once, at most timeout_ms. */
void driver_turn(struct driver *driver, int fd, int timeout_ms);

/* The other worker still answers, and nobody came to our sockets. */
bool driver_others_are_well(struct driver *driver);

/* ---- driver_attempt.c ---- */
void driver_try(struct driver *driver, size_t index, const struct attempt *attempt,
		struct outcome *outcome);

/* ---- verdict.c ---- */

/* Was the attempt denied as it should be? text (128 bytes) says how. */
bool verdict_is_denied(const struct attempt *attempt, const struct environment *environment,
		       const struct outcome *outcome, char *text);

#endif
