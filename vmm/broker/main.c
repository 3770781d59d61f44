/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-broker: opens what the VM's configuration names and starts the VM's other processes.
 * Started by the core before anything else; not for people (--help says what it takes).
 *
 * Launch steps: 1. leave the terminal's session, ignore its signals: when to end is the core's
 * decision; 2. close every fd but the two; 3. open programs, claim ids, make the cgroup; 4. give up
 * privileges; 5. serve until the core says so or is gone; 6. leave nothing behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "devworkers/common/sandbox_stages.h"
#include "ipc/log.h"
#include "vmm/broker/broker.h"
#include "vmm/broker/privileges.h"

static void leave_terminal(void)
{
	const int ignored[] = {SIGINT,	SIGTERM, SIGHUP,  SIGQUIT,
			       SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2};

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)setsid();
}

static int close_inherited_fds(const struct broker_options *options, struct error *err)
{
	const int keep[] = {0, 1, 2, options->core_fd, options->log_fd};
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0)
		return error_set_errno(err, -errno, "/dev/null");
	return sandbox_stage_fds(keep, sizeof(keep) / sizeof(keep[0]), err);
}

static int broker_main(const struct broker_options *options, struct error *err)
{
	static struct broker broker; /* large; the only one */
	int rc = close_inherited_fds(options, err);

	if (rc != 0)
		return rc;
	rc = broker_init(&broker, options, err);
	if (rc == 0)
		rc = broker_drop_privileges(err);
	if (rc == 0)
		broker_run(&broker);
	broker_destroy(&broker);
	return rc;
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct broker_options options;
	struct log_options log_options;
	int result;

	result = broker_options_parse(argc, argv, &options, &err);
	if (result > 0)
		return EXIT_SUCCESS;
	if (result < 0) {
		(void)dprintf(2, "bulkhead-broker: %s\n", err.message);
		return EXIT_FAILURE;
	}
	log_options = (struct log_options){
		.fd = options.log_fd,
		.level = options.log_level,
		.json = options.log_json,
		.vm_name = options.vm_name,
		.process = "broker",
	};
	log_setup(&log_options);
	leave_terminal();
	if (broker_main(&options, &err) != 0) {
		log_error("%s", err.message);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
