/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench_process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipc/cleanup.h"

#define END_TIMEOUT_MS 10000

void bench_command_init(struct bench_command *command)
{
	command->count = 0;
	command->argv[0] = NULL;
	command->text[0] = '\0';
}

/* Where the text of the last argument ends, behind its NUL. */
static char *command_room(struct bench_command *command)
{
	char *last = command->count ? command->argv[command->count - 1] : NULL;

	return last ? last + strlen(last) + 1 : command->text;
}

void bench_command_add(struct bench_command *command, const char *format, ...)
{
	char *room = command_room(command), *save = NULL;
	size_t size = sizeof(command->text) - (size_t)(room - command->text);
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(room, size, format, arguments);
	va_end(arguments);
	assert(length >= 0 && (size_t)length < size);
	(void)length;
	for (char *word = strtok_r(room, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		assert(command->count < BENCH_MAX_ARGUMENTS);
		command->argv[command->count++] = word;
	}
	command->argv[command->count] = NULL;
}

double bench_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int spawn(struct bench_process *process, const struct bench_command *command, int input_fd,
		 int output_fd)
{
	posix_spawn_file_actions_t actions;
	int rc = posix_spawn_file_actions_init(&actions);

	if (rc != 0)
		return -rc;
	rc = posix_spawn_file_actions_adddup2(&actions, input_fd, STDIN_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
	process->started_ms = bench_now_ms();
	if (rc == 0)
		rc = posix_spawnp(&process->pid, command->argv[0], &actions, NULL, command->argv,
				  environ);
	posix_spawn_file_actions_destroy(&actions);
	return -rc;
}

int bench_process_start(struct bench_process *process, const struct bench_command *command,
			const char *input_text, struct error *err)
{
	cleanup_fd int read_input = -1, write_output = -1;
	int input[2], output[2], rc;

	*process = (struct bench_process)BENCH_PROCESS_INIT;
	if (pipe2(input, O_CLOEXEC) != 0)
		return error_set_errno(err, -errno, "pipe");
	read_input = input[0];
	process->input_fd = input[1];
	if (pipe2(output, O_CLOEXEC) != 0)
		return error_set_errno(err, -errno, "pipe");
	process->output_fd = output[0];
	write_output = output[1];
	if (write(process->input_fd, input_text, strlen(input_text)) != (ssize_t)strlen(input_text))
		return error_set_errno(err, -errno, "write to a pipe");
	rc = spawn(process, command, read_input, write_output);
	if (rc == 0)
		return 0;
	process->pid = 0;
	bench_process_end(process);
	return error_set_errno(err, rc, "start %s", command->argv[0]);
}

/* One piece of output. Number of bytes; 0: the end; -ETIMEDOUT. */
static ssize_t read_output(const struct bench_process *process, char *buffer, size_t bytes,
			   double deadline_ms)
{
	struct pollfd output = {.fd = process->output_fd, .events = POLLIN};
	double left_ms = deadline_ms - bench_now_ms();
	int ready = left_ms > 0 ? poll(&output, 1, (int)left_ms + 1) : 0;

	if (ready <= 0)
		return -ETIMEDOUT;
	return read(process->output_fd, buffer, bytes);
}

int bench_process_wait(struct bench_process *process, char wanted, unsigned timeout_ms,
		       double *elapsed_ms, struct error *err)
{
	double deadline_ms = bench_now_ms() + timeout_ms;
	char buffer[256];
	ssize_t got;

	while ((got = read_output(process, buffer, sizeof(buffer), deadline_ms)) > 0)
		if (memchr(buffer, wanted, (size_t)got)) {
			*elapsed_ms = bench_now_ms() - process->started_ms;
			return 0;
		}
	if (got == -ETIMEDOUT)
		return error_set_errno(err, -ETIMEDOUT, "no word from the guest");
	return error_set_errno(err, -EPIPE, "it ended before the guest spoke");
}

static bool wait_for_end(struct bench_process *process, unsigned timeout_ms)
{
	double deadline_ms = bench_now_ms() + timeout_ms;
	char buffer[256];
	ssize_t got;

	while ((got = read_output(process, buffer, sizeof(buffer), deadline_ms)) > 0)
		;
	return got == 0;
}

void bench_process_end(struct bench_process *process)
{
	fd_close(&process->input_fd);
	if (process->pid > 0) {
		(void)kill(process->pid, SIGTERM);
		if (!wait_for_end(process, END_TIMEOUT_MS))
			(void)kill(process->pid, SIGKILL);
		(void)waitpid(process->pid, NULL, 0);
	}
	process->pid = 0;
	fd_close(&process->output_fd);
}

int bench_process_run(const struct bench_command *command, struct error *err)
{
	int status;
	pid_t pid;
	int rc = posix_spawnp(&pid, command->argv[0], NULL, NULL, command->argv, environ);

	if (rc != 0)
		return error_set_errno(err, -rc, "start %s", command->argv[0]);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(err, -EIO, "%s failed", command->argv[0]);
	return 0;
}
