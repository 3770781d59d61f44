/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/kvm/vcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/core/kvm/policy-vcpu.seccomp.h"
#include "vmm/core/kvm/vcpu_exit.h"
#include "vmm/core/kvm/vcpu_registers.h"
#include "vmm/core/kvm/x86_64/cpuid.h"

#define VCPU_KICK_SIGNAL  SIGRTMIN
#define VCPU_JOIN_SECONDS 10

enum vcpu_wish {
	VCPU_WISH_PARK,
	VCPU_WISH_RUN,
	VCPU_WISH_QUIT,
};

struct vcpu {
	struct vcpu_set *set;
	unsigned index;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	bool thread_started;
	bool parked;		 /* guarded by set->lock */
	bool dead;		 /* own thread only: met a fatal exit, parks for good until reset */
	_Atomic bool nmi_wanted; /* its own thread delivers it */
	struct vcpu_registers power_on;
	struct kvm_cpuid2 *cpuid;
	_Atomic int32_t thread_id;
};

struct vcpu_set {
	struct vcpu_set_options options;
	pthread_mutex_t lock;
	pthread_cond_t wish_changed;
	_Atomic int wish; /* changed under lock; read without it on the way into KVM_RUN */
	unsigned parked_count;
	unsigned count;
	struct vcpu vcpus[VCPU_MAX];
};

/* The handler exists only so that the signal interrupts KVM_RUN. */
static void vcpu_on_kick(int signal_number)
{
	(void)signal_number;
}

static void vcpu_kick(struct vcpu *vcpu)
{
	/*
	 * The wish was stored before: a vCPU thread clears immediate_exit first and reads the wish
	 * after, so it sees either the wish or the flag. The signal is for one that is inside the
	 * guest.
	 */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (vcpu->thread_started)
		pthread_kill(vcpu->thread, VCPU_KICK_SIGNAL);
}

static void vcpu_die(struct vcpu *vcpu, enum vcpu_fatal fatal, const char *text)
{
	struct vcpu_set *set = vcpu->set;

	if (!vcpu->dead)
		set->options.fatal(set->options.opaque, vcpu->index, fatal, text);
	vcpu->dead = true;
}

/* KVM_RUN came back because userspace has to do something. False: it is the end. */
static bool vcpu_handle_exit(struct vcpu *vcpu)
{
	struct vcpu_set *set = vcpu->set;
	enum vcpu_fatal fatal;
	char text[256];

	if (vcpu_exit_handle(vcpu->run, vcpu->fd, set->options.pio, set->options.mmio, &fatal, text,
			     sizeof(text)))
		return true;
	vcpu_die(vcpu, fatal, text);
	return false;
}

/*
 * KVM_RUN that ends before the next instruction: completes the register side of the last PIO or
 * MMIO access. An access that takes several exits (across a page, or repeated) goes on with the
 * next one first, and KVM keeps that outside of the registers: it has to be handled now, or it is
 * lost in a snapshot and comes up again after a reset.
 */
static void vcpu_complete_exit(struct vcpu *vcpu)
{
	do
		__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	while (ioctl(vcpu->fd, KVM_RUN, 0) >= 0 && vcpu_handle_exit(vcpu));
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

/* Park until the set wishes something else. Returns false when the thread shall end. */
static bool vcpu_park(struct vcpu *vcpu)
{
	struct vcpu_set *set = vcpu->set;
	bool last;

	vcpu_complete_exit(vcpu);
	pthread_mutex_lock(&set->lock);
	vcpu->parked = true;
	last = ++set->parked_count == set->count && atomic_load(&set->wish) == VCPU_WISH_PARK;
	if (last)
		set->options.all_parked(set->options.opaque);
	while (atomic_load(&set->wish) == VCPU_WISH_PARK)
		pthread_cond_wait(&set->wish_changed, &set->lock);
	vcpu->parked = false;
	set->parked_count--;
	pthread_mutex_unlock(&set->lock);
	/*
	 * The guest's watchdogs shall not take the pause for a hang; one without kvmclock has
	 * nothing to tell. On this thread, because every ioctl of a vCPU waits for its KVM_RUN.
	 */
	(void)ioctl(vcpu->fd, KVM_KVMCLOCK_CTRL, 0);
	return atomic_load(&set->wish) != VCPU_WISH_QUIT;
}

/* A vCPU that cannot go on waits, unparked from the point of view of nobody: it counts as parked
 * when asked. */
static void vcpu_wait_dead(struct vcpu *vcpu)
{
	struct vcpu_set *set = vcpu->set;

	pthread_mutex_lock(&set->lock);
	while (atomic_load(&set->wish) == VCPU_WISH_RUN)
		pthread_cond_wait(&set->wish_changed, &set->lock);
	pthread_mutex_unlock(&set->lock);
}

static void vcpu_run_once(struct vcpu *vcpu)
{
	char text[256];

	if (ioctl(vcpu->fd, KVM_RUN, 0) >= 0) {
		(void)vcpu_handle_exit(vcpu);
	} else if (errno != EINTR && errno != EAGAIN) {
		(void)snprintf(text, sizeof(text), "KVM_RUN: %s", strerror(errno));
		vcpu_die(vcpu, VCPU_FATAL_INTERNAL, text);
	}
}

static void *vcpu_thread_main(void *opaque)
{
	struct vcpu *vcpu = opaque;
	struct vcpu_set *set = vcpu->set;
	struct error err = ERROR_INIT;
	sigset_t kick;
	char name[16];

	/* Whoever starts this thread may have blocked signals. */
	(void)sigemptyset(&kick);
	(void)sigaddset(&kick, VCPU_KICK_SIGNAL);
	(void)pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	atomic_store(&vcpu->thread_id, gettid());
	(void)snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
	pthread_setname_np(pthread_self(), name);
	if (sandbox_install_filter(&kvm_vcpu_policy, set->options.seccomp, SANDBOX_FILTER_THREAD,
				   NULL, &err) < 0)
		vcpu_die(vcpu, VCPU_FATAL_INTERNAL, err.message);
	for (;;) {
		__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		if (atomic_load(&set->wish) != VCPU_WISH_RUN) {
			if (!vcpu_park(vcpu))
				return NULL;
			continue;
		}
		if (atomic_exchange(&vcpu->nmi_wanted, false))
			(void)ioctl(vcpu->fd, KVM_NMI);
		if (vcpu->dead)
			vcpu_wait_dead(vcpu);
		else
			vcpu_run_once(vcpu);
	}
}

static int vcpu_create(struct vcpu *vcpu, const struct kvm_cpuid2 *supported, struct error *err)
{
	struct vcpu_set *set = vcpu->set;
	struct kvm_vm *vm = set->options.vm;

	vcpu->fd = ioctl(kvm_vm_fd(vm), KVM_CREATE_VCPU, (unsigned long)vcpu->index);
	if (vcpu->fd < 0)
		return error_set_errno(err, -errno, "KVM_CREATE_VCPU");
	vcpu->run = mmap(NULL, kvm_vm_vcpu_map_bytes(vm), PROT_READ | PROT_WRITE, MAP_SHARED,
			 vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		return error_set_errno(err, -errno, "cannot map struct kvm_run");
	}
	if (cpuid_setup_vcpu(supported, kvm_vm_system_fd(vm), vcpu->fd, vcpu->index,
			     set->options.max, &vcpu->cpuid, err) < 0)
		return err->code;
	if (vcpu_registers_setup(vcpu->fd, err) < 0)
		return err->code;
	return vcpu_registers_capture(kvm_vm_system_fd(vm), vcpu->fd, &vcpu->power_on, err);
}

static int vcpu_start_thread(struct vcpu *vcpu, struct error *err)
{
	int result = pthread_create(&vcpu->thread, NULL, vcpu_thread_main, vcpu);

	if (result)
		return error_set_errno(err, -result, "cannot start the vCPU's thread");
	vcpu->thread_started = true;
	return 0;
}

struct vcpu_set *vcpu_set_new(const struct vcpu_set_options *options, struct error *err)
{
	cleanup_free struct kvm_cpuid2 *supported =
		cpuid_supported(kvm_vm_system_fd(options->vm), err);
	struct sigaction action = {.sa_handler = vcpu_on_kick};
	struct vcpu_set *set;

	if (!supported)
		return NULL;
	set = calloc(1, sizeof(*set));
	if (!set) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	set->options = *options;
	set->count = options->count;
	pthread_mutex_init(&set->lock, NULL);
	pthread_cond_init(&set->wish_changed, NULL);
	sigaction(VCPU_KICK_SIGNAL, &action, NULL);
	for (unsigned i = 0; i < set->count; i++)
		set->vcpus[i] = (struct vcpu){.set = set, .index = i, .fd = -1};
	for (unsigned i = 0; i < set->count; i++) {
		if (vcpu_create(&set->vcpus[i], supported, err) < 0 ||
		    vcpu_start_thread(&set->vcpus[i], err) < 0) {
			error_prefix(err, "vCPU %u", i);
			vcpu_set_destroy(set);
			return NULL;
		}
	}
	return set;
}

/* Caller holds the lock. */
static void vcpu_set_kick(struct vcpu_set *set)
{
	for (unsigned i = 0; i < set->count; i++)
		if (set->vcpus[i].run)
			vcpu_kick(&set->vcpus[i]);
}

/*
 * Kicks are sent under the lock, and none once they were told to quit: a vCPU that asks its
 * siblings to park (its guest resets the machine) must not reach for one that has been joined.
 */
static void vcpu_set_wish(struct vcpu_set *set, enum vcpu_wish wish)
{
	pthread_mutex_lock(&set->lock);
	if (atomic_load(&set->wish) != VCPU_WISH_QUIT) {
		atomic_store(&set->wish, wish);
		pthread_cond_broadcast(&set->wish_changed);
		if (wish == VCPU_WISH_PARK && set->parked_count == set->count)
			set->options.all_parked(set->options.opaque);
		if (wish != VCPU_WISH_RUN)
			vcpu_set_kick(set);
	}
	pthread_mutex_unlock(&set->lock);
}

/*
 * A vCPU that waits for memory which nobody can deliver any more (a damaged snapshot that was
 * restored on demand) cannot be called back on older kernels. Its memory must not go while it
 * waits: the whole process does, and the broker then ends everything else.
 */
static void vcpu_join(struct vcpu *vcpu)
{
	struct timespec deadline;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += VCPU_JOIN_SECONDS;
	if (pthread_clockjoin_np(vcpu->thread, NULL, CLOCK_MONOTONIC, &deadline) == 0)
		return;
	log_error("vCPU %u does not stop; ending the process at once", vcpu->index);
	_exit(1);
}

void vcpu_set_destroy(struct vcpu_set *set)
{
	if (!set)
		return;
	vcpu_set_wish(set, VCPU_WISH_QUIT);
	for (unsigned i = 0; i < set->count; i++) {
		struct vcpu *vcpu = &set->vcpus[i];

		if (vcpu->thread_started)
			vcpu_join(vcpu);
		if (vcpu->run)
			munmap(vcpu->run, kvm_vm_vcpu_map_bytes(set->options.vm));
		fd_close(&vcpu->fd);
		vcpu_registers_release(&vcpu->power_on);
		free(vcpu->cpuid);
	}
	pthread_cond_destroy(&set->wish_changed);
	pthread_mutex_destroy(&set->lock);
	free(set);
}

unsigned vcpu_set_count(const struct vcpu_set *set)
{
	return set->count;
}

int32_t vcpu_set_thread_id(const struct vcpu_set *set, unsigned index)
{
	return atomic_load(&set->vcpus[index].thread_id);
}

int vcpu_set_fd(const struct vcpu_set *set, unsigned index)
{
	return set->vcpus[index].fd;
}

const struct kvm_cpuid2 *vcpu_set_cpuid(const struct vcpu_set *set, unsigned index)
{
	return set->vcpus[index].cpuid;
}

int vcpu_set_apply_cpuid(struct vcpu_set *set, unsigned index, const struct kvm_cpuid2 *cpuid,
			 struct error *err)
{
	struct kvm_cpuid2 *copy = cpuid_copy(cpuid);

	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	free(set->vcpus[index].cpuid);
	set->vcpus[index].cpuid = copy;
	if (ioctl(set->vcpus[index].fd, KVM_SET_CPUID2, copy) < 0)
		return error_set_errno(err, -errno, "KVM_SET_CPUID2");
	return 0;
}

void vcpu_set_run(struct vcpu_set *set)
{
	vcpu_set_wish(set, VCPU_WISH_RUN);
}

void vcpu_set_park(struct vcpu_set *set)
{
	vcpu_set_wish(set, VCPU_WISH_PARK);
}

bool vcpu_set_is_parked(struct vcpu_set *set)
{
	bool parked;

	pthread_mutex_lock(&set->lock);
	parked = atomic_load(&set->wish) == VCPU_WISH_PARK && set->parked_count == set->count;
	pthread_mutex_unlock(&set->lock);
	return parked;
}

int vcpu_set_power_on_reset(struct vcpu_set *set, struct error *err)
{
	for (unsigned i = 0; i < set->count; i++) {
		if (vcpu_registers_apply(set->vcpus[i].fd, &set->vcpus[i].power_on, err) < 0)
			return error_prefix(err, "vCPU %u", i);
		/* Its thread is parked and looks at this only after the next wish. */
		set->vcpus[i].dead = false;
	}
	return 0;
}

void vcpu_set_inject_nmi(struct vcpu_set *set)
{
	for (unsigned i = 0; i < set->count; i++)
		atomic_store(&set->vcpus[i].nmi_wanted, true);
	pthread_mutex_lock(&set->lock);
	if (atomic_load(&set->wish) != VCPU_WISH_QUIT)
		vcpu_set_kick(set);
	pthread_mutex_unlock(&set->lock);
}
