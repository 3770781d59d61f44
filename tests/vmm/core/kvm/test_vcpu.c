/* SPDX-License-Identifier: Apache-2.0 */
/* vCPU threads on this host's KVM: run, park, reset, end, in every order and at the wrong moment.
 */
#include "tests/vmm/core/kvm/kvm_machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* A call that hangs shall end the test, not the suite. */
#define HANG_SECONDS 30

static const uint8_t code_spin[] = {0xeb, 0xfe};			     /* jmp $ */
static const uint8_t code_port[] = {0xe6, PORT_UNDER_TEST, 0xeb, 0xfc};	     /* out; again */
static const uint8_t code_port_once[] = {0xe6, PORT_UNDER_TEST, 0xeb, 0xfe}; /* out; jmp $ */
static const uint8_t code_nmi_handler[] = {0xe6, PORT_UNDER_TEST, 0xcf};     /* out; iret */
/* mov ax, 0xb000; mov ds, ax; mov eax, [0xffe] (or to it); jmp $ */
static const uint8_t code_read_across[] = {0xb8, 0x00, 0xb0, 0x8e, 0xd8, 0x66,
					   0xa1, 0xfe, 0x0f, 0xeb, 0xfe};
static const uint8_t code_write_across[] = {0xb8, 0x00, 0xb0, 0x8e, 0xd8, 0x66,
					    0xa3, 0xfe, 0x0f, 0xeb, 0xfe};
static const uint8_t code_fault[] = {0x0f, 0x0b}; /* ud2 */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int setup(void **state)
{
	static struct kvm_machine machine;

	*state = &machine;
	if (!kvm_machine_possible())
		return -1;
	(void)alarm(HANG_SECONDS);
	return 0;
}

static int teardown(void **state)
{
	(void)alarm(0);
	kvm_machine_destroy(*state);
	return 0;
}

/* ---- running and parking ---- */

static void guests_run_stand_still_and_go_on(void **state)
{
	struct kvm_machine *machine = *state;
	uint16_t counter;

	kvm_machine_init(machine, 1);
	kvm_machine_code(machine, 0, kvm_code_count, sizeof(kvm_code_count));
	assert_int_equal(kvm_machine_counter(machine), 0);
	for (unsigned round = 0; round < 20; round++) {
		vcpu_set_run(machine->set);
		kvm_machine_wait_progress(machine);
		kvm_machine_park(machine);
		counter = kvm_machine_counter(machine);
		kvm_machine_sleep_ms(2);
		assert_int_equal(kvm_machine_counter(machine), counter);
	}
	assert_int_equal(machine->fatal, 0);
}

static void parking_what_is_parked_is_told_once_more(void **state)
{
	struct kvm_machine *machine = *state;

	kvm_machine_init(machine, 2);
	kvm_machine_park(machine);
	kvm_machine_park(machine);
	assert_true(machine->parked >= 3);
}

static void a_wish_that_changes_its_mind_at_once_is_the_last_one(void **state)
{
	struct kvm_machine *machine = *state;

	kvm_machine_init(machine, 2);
	kvm_machine_code(machine, 0, kvm_code_count, sizeof(kvm_code_count));
	kvm_machine_code(machine, 1, kvm_code_count, sizeof(kvm_code_count));
	for (unsigned round = 0; round < 200; round++) {
		vcpu_set_run(machine->set);
		vcpu_set_park(machine->set);
	}
	vcpu_set_run(machine->set);
	kvm_machine_wait_progress(machine);
	assert_false(vcpu_set_is_parked(machine->set));
	kvm_machine_park(machine);
}

/* ---- nothing waits for a guest that does not leave KVM_RUN ---- */

static void running_again_waits_for_no_vcpu(void **state)
{
	struct kvm_machine *machine = *state;

	kvm_machine_init(machine, 1);
	kvm_machine_code(machine, 0, kvm_code_count, sizeof(kvm_code_count));
	vcpu_set_run(machine->set);
	kvm_machine_wait_progress(machine);
	vcpu_set_run(machine->set);
}

static void an_nmi_reaches_a_guest_that_spins_and_waits_for_none(void **state)
{
	const uint8_t vector_2[] = {NMI_HANDLER_GPA & 0xff, NMI_HANDLER_GPA >> 8, 0, 0};
	struct kvm_machine *machine = *state;

	kvm_machine_init(machine, 1);
	kvm_machine_code(machine, 0, kvm_code_count, sizeof(kvm_code_count));
	memcpy(machine->memory + 2 * sizeof(vector_2), vector_2, sizeof(vector_2));
	memcpy(machine->memory + NMI_HANDLER_GPA, code_nmi_handler, sizeof(code_nmi_handler));
	vcpu_set_run(machine->set);
	kvm_machine_wait_progress(machine);
	vcpu_set_inject_nmi(machine->set);
	kvm_machine_wait(&machine->port_accesses, 1);
	kvm_machine_wait_progress(machine);
}

/* ---- what an access leaves behind ---- */

static void park_self(struct kvm_machine *machine)
{
	if (machine->mmio_accesses == 1 || machine->port_accesses == 1)
		vcpu_set_park(machine->set);
}

static void run_across(struct kvm_machine *machine, const uint8_t *code, size_t bytes)
{
	kvm_machine_init(machine, 1);
	kvm_machine_code(machine, 0, code, bytes);
	machine->on_mmio = park_self;
	vcpu_set_run(machine->set);
	kvm_machine_wait(&machine->parked, 2);
}

static void a_write_across_two_pages_is_whole_when_the_vcpu_is_parked(void **state)
{
	struct kvm_machine *machine = *state;

	run_across(machine, code_write_across, sizeof(code_write_across));
	assert_int_equal(machine->mmio_accesses, 2);
	assert_int_equal(machine->last_mmio_offset, 0x1000);
}

static void a_read_across_two_pages_is_in_its_register_when_the_vcpu_is_parked(void **state)
{
	struct kvm_machine *machine = *state;
	struct kvm_regs regs;

	run_across(machine, code_read_across, sizeof(code_read_across));
	assert_int_equal(machine->mmio_accesses, 2);
	assert_int_equal(ioctl(vcpu_set_fd(machine->set, 0), KVM_GET_REGS, &regs), 0);
	assert_int_equal(regs.rax, 0x5a5a5a5a);
}

static void a_vcpu_that_parks_all_from_within_an_access_stands_behind_it(void **state)
{
	struct kvm_machine *machine = *state;
	struct kvm_regs regs;

	kvm_machine_init(machine, 2);
	kvm_machine_code(machine, 0, code_port_once, sizeof(code_port_once));
	kvm_machine_code(machine, 1, code_spin, sizeof(code_spin));
	machine->on_port = park_self;
	vcpu_set_run(machine->set);
	kvm_machine_wait(&machine->parked, 2);
	assert_int_equal(machine->port_accesses, 1);
	assert_int_equal(ioctl(vcpu_set_fd(machine->set, 0), KVM_GET_REGS, &regs), 0);
	assert_int_equal(regs.rip, CODE_GPA + 2);
}

/* ---- the end ---- */

static void linger_then_park(struct kvm_machine *machine)
{
	if (machine->port_accesses > 1)
		return;
	kvm_machine_sleep_ms(300);
	vcpu_set_park(machine->set);
}

static void
a_guest_that_resets_itself_while_its_vcpus_are_ended_reaches_for_none_of_them(void **state)
{
	struct kvm_machine *machine = *state;

	kvm_machine_init(machine, 2);
	kvm_machine_code(machine, 0, code_spin, sizeof(code_spin));
	kvm_machine_code(machine, 1, code_port, sizeof(code_port));
	machine->on_port = linger_then_park;
	vcpu_set_run(machine->set);
	kvm_machine_wait(&machine->port_accesses, 1);
	vcpu_set_destroy(machine->set);
	machine->set = NULL;
	assert_int_equal(machine->port_accesses, 1);
}

static void vcpus_end_while_they_run(void **state)
{
	struct kvm_machine *machine = *state;
	uint64_t started_ms;

	kvm_machine_init(machine, 2);
	kvm_machine_code(machine, 0, code_spin, sizeof(code_spin));
	kvm_machine_code(machine, 1, kvm_code_count, sizeof(kvm_code_count));
	vcpu_set_run(machine->set);
	kvm_machine_wait_progress(machine);
	started_ms = now_ms();
	vcpu_set_destroy(machine->set);
	machine->set = NULL;
	assert_true(now_ms() - started_ms < 5000);
}

/* ---- crashes ---- */

/* Protected mode without an interrupt table: the next fault is three. */
static void aim_without_handlers(struct kvm_machine *machine)
{
	int fd = vcpu_set_fd(machine->set, 0);
	struct kvm_sregs sregs;

	assert_int_equal(ioctl(fd, KVM_GET_SREGS, &sregs), 0);
	sregs.cr0 |= 1;
	sregs.idt.limit = 0;
	sregs.cs.type = 0xb;
	sregs.cs.db = sregs.cs.g = sregs.cs.s = sregs.cs.present = 1;
	sregs.cs.limit = 0xffffffff;
	sregs.cs.selector = 8;
	assert_int_equal(ioctl(fd, KVM_SET_SREGS, &sregs), 0);
}

static void a_triple_fault_is_told_once_and_the_vcpu_still_parks_and_resets(void **state)
{
	struct kvm_machine *machine = *state;
	struct error err = ERROR_INIT;

	kvm_machine_init(machine, 1);
	kvm_machine_code(machine, 0, code_fault, sizeof(code_fault));
	aim_without_handlers(machine);
	vcpu_set_run(machine->set);
	kvm_machine_wait(&machine->fatal, 1);
	assert_int_equal(machine->what, VCPU_FATAL_TRIPLE_FAULT);
	kvm_machine_park(machine);
	vcpu_set_run(machine->set);
	kvm_machine_park(machine);
	assert_int_equal(machine->fatal, 1);

	assert_int_equal(vcpu_set_power_on_reset(machine->set, &err), 0);
	kvm_machine_code(machine, 0, kvm_code_count, sizeof(kvm_code_count));
	kvm_machine_aim(machine, 0);
	vcpu_set_run(machine->set);
	kvm_machine_wait_progress(machine);
}

static void threads_bear_the_names_of_their_vcpus(void **state)
{
	struct kvm_machine *machine = *state;
	char text[16] = "";
	FILE *pipe;

	kvm_machine_init(machine, 3);
	pipe = popen("cat /proc/$PPID/task/*/comm | grep -c '^vcpu[012]$'", "re");
	assert_non_null(pipe);
	assert_non_null(fgets(text, sizeof(text), pipe));
	assert_int_equal(pclose(pipe), 0);
	assert_string_equal(text, "3\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(guests_run_stand_still_and_go_on),
		TEST(parking_what_is_parked_is_told_once_more),
		TEST(a_wish_that_changes_its_mind_at_once_is_the_last_one),
		TEST(running_again_waits_for_no_vcpu),
		TEST(an_nmi_reaches_a_guest_that_spins_and_waits_for_none),
		TEST(a_write_across_two_pages_is_whole_when_the_vcpu_is_parked),
		TEST(a_read_across_two_pages_is_in_its_register_when_the_vcpu_is_parked),
		TEST(a_vcpu_that_parks_all_from_within_an_access_stands_behind_it),
		TEST(a_guest_that_resets_itself_while_its_vcpus_are_ended_reaches_for_none_of_them),
		TEST(vcpus_end_while_they_run),
		TEST(a_triple_fault_is_told_once_and_the_vcpu_still_parks_and_resets),
		TEST(threads_bear_the_names_of_their_vcpus),
	};

	if (!kvm_machine_possible())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
