/* SPDX-License-Identifier: Apache-2.0 */
/* A KVM machine without vCPUs: GSIs, routes, eventfds, and what is left when it goes. */
#include "tests/vmm/core/kvm/kvm_machine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ipc/cleanup.h"

static const struct msi_message message = {.address = 0xfee00000, .data = 0x41};

static int setup(void **state)
{
	cleanup_fd int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct error err = ERROR_INIT;

	*state = kvm_vm_new(kvm_fd, &err);
	if (!*state)
		print_message("%s\n", err.message);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	kvm_vm_destroy(*state);
	return 0;
}

static void gsis_are_unique_run_out_and_are_given_back(void **state)
{
	static bool seen[4096];
	struct kvm_vm *vm = *state;
	unsigned count = 0;
	int gsi, first = -1;

	while ((gsi = kvm_gsi_allocate(vm)) >= 0) {
		/* The first 24 are pins of the IOAPIC. */
		assert_true(gsi >= 24 && gsi < 4096);
		assert_false(seen[gsi]);
		seen[gsi] = true;
		if (first < 0)
			first = gsi;
		count++;
	}
	assert_int_equal(gsi, -ENOSPC);
	/* 31 devices with a vector for each of 16 queues and one for their configuration. */
	assert_true(count >= 31 * 17);
	kvm_gsi_release(vm, (uint32_t)first);
	assert_int_equal(kvm_gsi_allocate(vm), first);
}

static void routes_are_for_gsis_of_messages_only(void **state)
{
	struct kvm_vm *vm = *state;

	assert_int_equal(kvm_gsi_route_msi(vm, 0, &message), -EINVAL);
	assert_int_equal(kvm_gsi_route_msi(vm, 23, &message), -EINVAL);
	assert_int_equal(kvm_gsi_route_msi(vm, 1 << 20, &message), -EINVAL);
	assert_int_equal(kvm_gsi_route_msi(vm, UINT32_MAX, NULL), -EINVAL);
	kvm_gsi_release(vm, 4); /* no effect */
}

static void every_gsi_can_be_routed_at_once(void **state)
{
	struct kvm_vm *vm = *state;
	uint32_t last = 0;
	int gsi;

	for (unsigned i = 0; (gsi = kvm_gsi_allocate(vm)) >= 0; i++) {
		last = (uint32_t)gsi;
		if (i % 50 == 0) /* each change replaces the whole table */
			assert_int_equal(kvm_gsi_route_msi(vm, last, &message), 0);
	}
	assert_int_equal(kvm_gsi_route_msi(vm, last, &message), 0);
	assert_int_equal(kvm_gsi_route_msi(vm, last, NULL), 0);
	assert_int_equal(kvm_gsi_route_msi(vm, last, NULL), 0);
}

static void an_eventfd_interrupts_once_at_a_time(void **state)
{
	cleanup_fd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct kvm_vm *vm = *state;
	uint32_t gsi = (uint32_t)kvm_gsi_allocate(vm);

	assert_int_equal(kvm_gsi_route_msi(vm, gsi, &message), 0);
	assert_int_equal(kvm_irqfd_assign(vm, fd, gsi), 0);
	assert_int_equal(kvm_irqfd_assign(vm, fd, gsi), -EBUSY);
	assert_int_equal(kvm_irqfd_deassign(vm, fd, gsi), 0);
	/* Deassigned, its count stays where it is: the vector is pending. */
	assert_int_equal(eventfd_write(fd, 1), 0);
	kvm_machine_sleep_ms(5);
	assert_int_equal(eventfd_read(fd, &(eventfd_t){0}), 0);
}

static void kicks_are_assigned_and_deassigned(void **state)
{
	cleanup_fd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct kvm_vm *vm = *state;

	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(kvm_ioeventfd_assign(vm, 0xd0000000, 2, fd), 0);
		assert_int_equal(kvm_ioeventfd_assign(vm, 0xd0000000, 2, fd), -EEXIST);
		assert_int_equal(kvm_ioeventfd_deassign(vm, 0xd0000000, 2, fd), 0);
		assert_int_equal(kvm_ioeventfd_deassign(vm, 0xd0000000, 2, fd), -ENOENT);
	}
}

static void a_descriptor_that_is_not_kvm_is_refused(void **state)
{
	cleanup_fd int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct error err = ERROR_INIT;

	(void)state;
	assert_null(kvm_vm_new(fd, &err));
	assert_non_null(strstr(err.message, "KVM_GET_API_VERSION"));
}

static unsigned count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void machines_come_and_go_and_leave_no_descriptor(void **state)
{
	struct kvm_machine machine;
	unsigned before = count_fds();

	(void)state;
	for (unsigned round = 0; round < 5; round++) {
		kvm_machine_init(&machine, 2);
		kvm_machine_destroy(&machine);
	}
	assert_int_equal(count_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(gsis_are_unique_run_out_and_are_given_back),
		TEST(routes_are_for_gsis_of_messages_only),
		TEST(every_gsi_can_be_routed_at_once),
		TEST(an_eventfd_interrupts_once_at_a_time),
		TEST(kicks_are_assigned_and_deassigned),
		TEST(a_descriptor_that_is_not_kvm_is_refused),
		TEST(machines_come_and_go_and_leave_no_descriptor),
	};

	if (!kvm_machine_possible())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
