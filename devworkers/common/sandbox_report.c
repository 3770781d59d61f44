/* SPDX-License-Identifier: Apache-2.0 */
/* What a starting process and the broker tell each other over SANDBOX_LAUNCH_FD. */
#include "devworkers/common/sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devworkers/common/sandbox_stages.h"
#include "ipc/cleanup.h"

static int launch_receive(struct sandbox_launch *launch, struct error *err)
{
	ssize_t got;

	do {
		got = recv(SANDBOX_LAUNCH_FD, launch, sizeof(*launch), MSG_TRUNC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return error_set_errno(err, -errno, "not started by the broker");
	if (got != (ssize_t)sizeof(*launch) || launch->version != SANDBOX_PROTOCOL_VERSION)
		return error_set(err, -EPROTO, "the broker is of another version");
	return 0;
}

/* Send the report; listener_fd travels beside it unless it is -1. */
static int report_send(const struct sandbox_report *report, int listener_fd, struct error *err)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct sandbox_report copy = *report;
	struct iovec part = {.iov_base = &copy, .iov_len = sizeof(copy)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (listener_fd >= 0) {
		struct cmsghdr *header = &control.align;

		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &listener_fd, sizeof(int));
	}
	if (sendmsg(SANDBOX_LAUNCH_FD, &message, MSG_NOSIGNAL) != (ssize_t)sizeof(copy))
		return error_set_errno(err, -errno, "report to the broker");
	return 0;
}

static int sandbox_run_stages(const struct sandbox_options *options,
			      int (*prepare)(void *opaque, struct error *err), void *opaque,
			      uint32_t *missing, int *listener_fd, struct error *err)
{
	struct sandbox_launch launch;
	int rc = launch_receive(&launch, err);

	if (rc == 0)
		rc = sandbox_enter(options, &launch, missing, err);
	if (rc == 0 && prepare)
		rc = prepare(opaque, err);
	if (rc == 0 && options->seccomp_mode != SANDBOX_SECCOMP_ENFORCE)
		*missing |= 1U << SANDBOX_SECCOMP; /* asked for by name: --seccomp log, false */
	if (rc == 0 && sandbox_lock(options, listener_fd, err) != 0)
		rc = sandbox_stage_missing(SANDBOX_SECCOMP, launch.allow_missing, missing, err);
	return rc;
}

int sandbox_enter_and_report(const struct sandbox_options *options,
			     int (*prepare)(void *opaque, struct error *err), void *opaque,
			     struct error *err)
{
	struct error local = ERROR_INIT;
	struct error *failure = err ? err : &local;
	struct sandbox_report report = {.version = SANDBOX_PROTOCOL_VERSION};
	cleanup_fd int listener = -1;
	int rc = sandbox_run_stages(options, prepare, opaque, &report.missing, &listener, failure);

	report.error = rc;
	if (rc != 0)
		(void)snprintf(report.message, sizeof(report.message), "%s", failure->message);
	if (rc == 0)
		rc = report_send(&report, listener, failure);
	else
		(void)report_send(&report, -1, NULL);
	close(SANDBOX_LAUNCH_FD);
	return rc;
}
