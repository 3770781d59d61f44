/* SPDX-License-Identifier: Apache-2.0 */
/* Filters as they are installed: what is allowed, what happens to the rest, in every mode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devworkers/common/sandbox.h"
#include "devworkers/rng/policy.seccomp.h"
#include "tests/devworkers/common/child_process.h"
#include "vmm/core/kvm/policy-vcpu.seccomp.h"

static int install(const struct sock_fprog *policy, enum sandbox_seccomp_mode mode, int *listener)
{
	struct error err = ERROR_INIT;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return sandbox_install_filter(policy, mode, SANDBOX_FILTER_PROCESS, listener, &err);
}

/* A forked child runs under the workers' policy and makes `call`; its listener comes to us. */
struct subject {
	pid_t pid;
	int listener;
};

static void listener_send(int socket, int listener)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	char byte = 0;
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};

	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.align), &listener, sizeof(int));
	(void)sendmsg(socket, &message, 0);
}

static int listener_receive(int socket)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	char byte;
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	int listener = -1;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message))
		memcpy(&listener, CMSG_DATA(&control.align), sizeof(int));
	return listener;
}

static struct subject subject_start(void (*call)(void))
{
	struct subject subject;
	int ends[2];

	(void)fflush(NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	subject.pid = fork();
	assert_true(subject.pid >= 0);
	if (subject.pid == 0) {
		int listener = -1;

		if (install(&rng_policy, SANDBOX_SECCOMP_ENFORCE, &listener) != 0)
			_exit(1);
		listener_send(ends[1], listener);
		close(listener);
		call();
		_exit(7);
	}
	close(ends[1]);
	subject.listener = listener_receive(ends[0]);
	close(ends[0]);
	assert_true(subject.listener >= 0);
	return subject;
}

/* The number of the forbidden call that the subject waits in, -1 when it ends without one. */
static int subject_violation(const struct subject *subject)
{
	struct pollfd ready = {subject->listener, POLLIN, 0};
	union {
		struct seccomp_notif notification;
		char room[512];
	} buffer = {.room = {0}};

	if (poll(&ready, 1, 5000) != 1 || !(ready.revents & POLLIN))
		return -1;
	return ioctl(subject->listener, SECCOMP_IOCTL_NOTIF_RECV, &buffer.notification) == 0
		       ? buffer.notification.data.nr
		       : -1;
}

static int subject_end(struct subject *subject)
{
	int status;

	(void)kill(subject->pid, SIGKILL);
	(void)waitpid(subject->pid, &status, 0);
	close(subject->listener);
	return status;
}

static void assert_violation(void (*call)(void), int number)
{
	struct subject subject = subject_start(call);
	int seen = subject_violation(&subject);
	int status = subject_end(&subject);

	assert_int_equal(seen, number);
	assert_true(WIFSIGNALED(status));
}

/* Sanitizer builds may open files, but make no sockets either. */
static void call_socket(void)
{
	(void)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static void call_map_executable(void)
{
	(void)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void call_map_shared_anonymous(void)
{
	(void)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void call_make_executable(void)
{
	static char page[8192];

	(void)mprotect((void *)(((uintptr_t)page + 4095) & ~4095UL), 4096, PROT_READ | PROT_EXEC);
}

static void call_unknown(void)
{
	(void)syscall(4000);
}

static void a_forbidden_call_is_notified_with_its_number(void **state)
{
	(void)state;
	assert_violation(call_socket, SYS_socket);
}

static void a_call_no_kernel_knows_is_notified(void **state)
{
	(void)state;
	assert_violation(call_unknown, 4000);
}

static void memory_cannot_be_mapped_executable(void **state)
{
	(void)state;
	assert_violation(call_map_executable, SYS_mmap);
}

static void memory_cannot_be_made_executable(void **state)
{
	(void)state;
	assert_violation(call_make_executable, SYS_mprotect);
}

static void shared_anonymous_memory_escapes_no_limit(void **state)
{
	(void)state;
#ifdef BULKHEAD_SANITIZE
	printf("skip: sanitizer builds map shadow memory\n");
	skip();
#endif
	assert_violation(call_map_shared_anonymous, SYS_mmap);
}

static void *thread_calls(void *opaque)
{
	char byte;

	if (read(*(const int *)opaque, &byte, 1) == 1)
		call_socket();
	return NULL;
}

static int other_threads(void *opaque)
{
	int pipe_fds[2], listener = -1;
	struct pollfd ready;
	pthread_t thread;

	(void)opaque;
	if (pipe(pipe_fds) != 0 || pthread_create(&thread, NULL, thread_calls, &pipe_fds[0]) != 0)
		return 1;
	if (install(&rng_policy, SANDBOX_SECCOMP_ENFORCE, &listener) != 0)
		return 2;
	(void)!write(pipe_fds[1], "x", 1);
	ready = (struct pollfd){listener, POLLIN, 0};
	return poll(&ready, 1, 5000) == 1 && (ready.revents & POLLIN) ? 0 : 3;
}

static void the_filter_holds_for_threads_that_were_there_before(void **state)
{
	(void)state;
	assert_int_equal(child_run(other_threads, NULL), 0);
}

/* The 32-bit entry: getpid is 20 there. */
static int call_through_32bit_entry(void *opaque)
{
	int listener = -1;
	long result;

	if (install(opaque, SANDBOX_SECCOMP_ENFORCE, &listener) != 0)
		return 1;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
	return 2;
}

static void another_architecture_is_killed_at_once(void **state)
{
	int status;

	(void)state;
	status = child_run(call_through_32bit_entry, (void *)(uintptr_t)&rng_policy);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int call_x32(void *opaque)
{
	int listener = -1;

	if (install(opaque, SANDBOX_SECCOMP_ENFORCE, &listener) != 0)
		return 1;
	(void)syscall(0x40000000L | SYS_getpid);
	return 2;
}

static void the_x32_numbers_are_killed_at_once(void **state)
{
	int status;

	(void)state;
	status = child_run(call_x32, (void *)(uintptr_t)&rng_policy);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int open_while_logging(void *opaque)
{
	int listener = 5;

	if (install(opaque, SANDBOX_SECCOMP_LOG, &listener) != 0 || listener != -1)
		return 1;
	return open("/dev/null", O_RDONLY) >= 0 ? 0 : 2;
}

static void log_mode_forbids_nothing(void **state)
{
	(void)state;
	assert_int_equal(child_run(open_while_logging, (void *)(uintptr_t)&rng_policy), 0);
	assert_int_equal(child_run(open_while_logging, (void *)(uintptr_t)&kvm_vcpu_policy), 0);
}

static int filter_off(void *opaque)
{
	int listener = 5;

	if (install(opaque, SANDBOX_SECCOMP_OFF, &listener) != 0 || listener != -1)
		return 1;
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0 ? 0 : 2;
}

static void off_installs_nothing(void **state)
{
	(void)state;
	assert_int_equal(child_run(filter_off, (void *)(uintptr_t)&rng_policy), 0);
}

static int killing_policy(void *opaque)
{
	(void)opaque;
	if (install(&kvm_vcpu_policy, SANDBOX_SECCOMP_ENFORCE, NULL) != 0)
		return 1;
	call_socket();
	return 2;
}

static void default_kill_ends_the_process_with_sigsys(void **state)
{
	int status;

	(void)state;
	status = child_run(killing_policy, NULL);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int no_listener_wanted(void *opaque)
{
	(void)opaque;
	return install(&rng_policy, SANDBOX_SECCOMP_ENFORCE, NULL) == -EINVAL ? 0 : 1;
}

static void a_notifying_policy_without_a_listener_is_refused(void **state)
{
	(void)state;
	assert_int_equal(child_run(no_listener_wanted, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_forbidden_call_is_notified_with_its_number),
		cmocka_unit_test(a_call_no_kernel_knows_is_notified),
		cmocka_unit_test(memory_cannot_be_mapped_executable),
		cmocka_unit_test(memory_cannot_be_made_executable),
		cmocka_unit_test(shared_anonymous_memory_escapes_no_limit),
		cmocka_unit_test(the_filter_holds_for_threads_that_were_there_before),
		cmocka_unit_test(another_architecture_is_killed_at_once),
		cmocka_unit_test(the_x32_numbers_are_killed_at_once),
		cmocka_unit_test(log_mode_forbids_nothing),
		cmocka_unit_test(off_installs_nothing),
		cmocka_unit_test(default_kill_ends_the_process_with_sigsys),
		cmocka_unit_test(a_notifying_policy_without_a_listener_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
