/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/cmos.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/core/platform/memory_map.h"
#include "vmm/core/platform/rtc_time.h"

#define RTC_STATUS_A 0x0a
#define RTC_STATUS_C 0x0c
#define RTC_STATUS_D 0x0d

#define A_UPDATE_IN_PROGRESS 0x80
#define A_RATE		     0x0f
#define A_POWER_ON	     0x26 /* 32768 Hz time base, 1024 Hz periodic */
#define B_SET		     0x80
#define B_ENABLES	     0x70
#define C_INTERRUPT	     0x80
#define C_PERIODIC	     0x40
#define C_UPDATE_ENDED	     0x10
#define D_VALID		     0x80

/* Memory sizes where PC firmware leaves them. */
#define CMOS_BASE_KIB	    0x15 /* 2 bytes: below 640 KiB */
#define CMOS_EXTENDED_KIB   0x17 /* 2 bytes: above 1 MiB */
#define CMOS_EXTENDED_KIB_2 0x30
#define CMOS_ABOVE_16_MIB   0x34 /* 2 bytes, in units of 64 KiB */
#define CMOS_ABOVE_4_GIB    0x5b /* 3 bytes, in units of 64 KiB */
#define BASE_MEMORY_KIB	    640

#define NS_PER_SECOND	   1000000000LL
#define UPDATE_NS	   244000LL /* "update in progress" comes on this long before the update */
#define BASE_FREQUENCY_HZ  32768
#define MAX_OFFSET_SECONDS (1000LL * 366 * 86400) /* what the century register can express */

struct cmos {
	pthread_mutex_t lock; /* guards what follows */
	uint8_t index;
	/* Those of the clock mean something only while B_SET holds it. */
	uint8_t registers[CMOS_REGISTER_COUNT];
	int64_t offset_seconds;	  /* guest clock minus host clock */
	int64_t flags_read_at_ns; /* when status C was read last */
	int64_t (*now_ns)(void);
};

static int64_t host_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

static int64_t guest_seconds(const struct cmos *cmos)
{
	return cmos->now_ns() / NS_PER_SECOND + cmos->offset_seconds;
}

static bool is_clock_register(uint8_t index)
{
	return index == RTC_SECONDS || index == RTC_MINUTES || index == RTC_HOURS ||
	       (index >= RTC_DAY_OF_WEEK && index <= RTC_YEAR) || index == RTC_CENTURY;
}

static bool clock_is_held(const struct cmos *cmos)
{
	return cmos->registers[RTC_STATUS_B] & B_SET;
}

/* ---- reading ---- */

static uint8_t read_clock(const struct cmos *cmos, uint8_t index)
{
	uint8_t registers[CMOS_REGISTER_COUNT];

	if (clock_is_held(cmos))
		return cmos->registers[index];
	memcpy(registers, cmos->registers, sizeof(registers));
	rtc_time_encode(registers, guest_seconds(cmos));
	return registers[index];
}

static uint8_t read_status_a(const struct cmos *cmos)
{
	uint8_t status = cmos->registers[RTC_STATUS_A];
	bool updating = cmos->now_ns() % NS_PER_SECOND >= NS_PER_SECOND - UPDATE_NS;

	return status | (updating && !clock_is_held(cmos) ? A_UPDATE_IN_PROGRESS : 0);
}

/* MC146818 data sheet, table 5: rates 1 and 2 stand for those of 8 and 9. */
static int64_t periodic_interval_ns(const struct cmos *cmos)
{
	unsigned rate = cmos->registers[RTC_STATUS_A] & A_RATE;

	if (rate == 0)
		return INT64_MAX;
	if (rate <= 2)
		rate += 7;
	return NS_PER_SECOND * (1LL << (rate - 1)) / BASE_FREQUENCY_HZ;
}

/* Reading clears: what happened since the last time. */
static uint8_t read_status_c(struct cmos *cmos)
{
	int64_t now = cmos->now_ns(), before = cmos->flags_read_at_ns;
	int64_t interval = periodic_interval_ns(cmos);
	uint8_t flags = 0;

	if (now / NS_PER_SECOND != before / NS_PER_SECOND && !clock_is_held(cmos))
		flags |= C_UPDATE_ENDED;
	if (now / interval != before / interval)
		flags |= C_PERIODIC;
	if (flags & cmos->registers[RTC_STATUS_B] & B_ENABLES)
		flags |= C_INTERRUPT;
	cmos->flags_read_at_ns = now;
	return flags;
}

static uint8_t read_register(struct cmos *cmos, uint8_t index)
{
	if (is_clock_register(index))
		return read_clock(cmos, index);
	switch (index) {
	case RTC_STATUS_A:
		return read_status_a(cmos);
	case RTC_STATUS_C:
		return read_status_c(cmos);
	case RTC_STATUS_D:
		return D_VALID;
	default:
		return cmos->registers[index];
	}
}

/* ---- writing ---- */

/* Go on from what the registers hold; nonsense leaves the clock as it was. */
static void set_clock(struct cmos *cmos)
{
	int64_t seconds, offset;

	if (!rtc_time_decode(cmos->registers, &seconds))
		return;
	offset = seconds - cmos->now_ns() / NS_PER_SECOND;
	if (offset >= -MAX_OFFSET_SECONDS && offset <= MAX_OFFSET_SECONDS)
		cmos->offset_seconds = offset;
}

static void write_clock(struct cmos *cmos, uint8_t index, uint8_t value)
{
	bool held = clock_is_held(cmos);

	if (!held)
		rtc_time_encode(cmos->registers, guest_seconds(cmos));
	cmos->registers[index] = value;
	if (!held)
		set_clock(cmos);
}

static void write_status_b(struct cmos *cmos, uint8_t value)
{
	bool held = clock_is_held(cmos);

	if (!held && (value & B_SET))
		rtc_time_encode(cmos->registers, guest_seconds(cmos));
	if (held && !(value & B_SET))
		set_clock(cmos); /* in the encoding in which it was written */
	cmos->registers[RTC_STATUS_B] = value;
}

static void write_register(struct cmos *cmos, uint8_t index, uint8_t value)
{
	if (is_clock_register(index))
		write_clock(cmos, index, value);
	else if (index == RTC_STATUS_A)
		cmos->registers[index] = value & (uint8_t)~A_UPDATE_IN_PROGRESS;
	else if (index == RTC_STATUS_B)
		write_status_b(cmos, value);
	else if (index != RTC_STATUS_C && index != RTC_STATUS_D)
		cmos->registers[index] = value;
}

/* ---- the bus: offset 0 is the index, 1 the data ---- */

static void cmos_on_read(void *opaque, uint64_t offset, uint8_t *data, unsigned length_bytes)
{
	struct cmos *cmos = opaque;

	pthread_mutex_lock(&cmos->lock);
	for (unsigned i = 0; i < length_bytes; i++) {
		if (offset + i == 0)
			data[i] = cmos->index;
		else
			data[i] = read_register(cmos, cmos->index);
	}
	pthread_mutex_unlock(&cmos->lock);
}

/* Bit 7 of the index masks NMIs on a PC; there are none here that it should. */
static void cmos_on_write(void *opaque, uint64_t offset, const uint8_t *data, unsigned length_bytes)
{
	struct cmos *cmos = opaque;

	pthread_mutex_lock(&cmos->lock);
	for (unsigned i = 0; i < length_bytes; i++) {
		if (offset + i == 0)
			cmos->index = data[i] % CMOS_REGISTER_COUNT;
		else
			write_register(cmos, cmos->index, data[i]);
	}
	pthread_mutex_unlock(&cmos->lock);
}

const struct bus_device_ops cmos_ops = {
	.name = "cmos",
	.read = cmos_on_read,
	.write = cmos_on_write,
};

/* ---- life ---- */

static void store(struct cmos *cmos, unsigned index, unsigned bytes, uint64_t value)
{
	uint64_t maximum = (1ULL << bytes * 8) - 1;

	if (value > maximum)
		value = maximum;
	for (unsigned i = 0; i < bytes; i++)
		cmos->registers[index + i] = (uint8_t)(value >> i * 8);
}

static uint64_t bytes_above(uint64_t size_bytes, uint64_t start)
{
	return size_bytes > start ? size_bytes - start : 0;
}

static void store_memory_sizes(struct cmos *cmos, const struct cmos_options *options)
{
	uint64_t low = options->ram_below_hole_bytes;

	store(cmos, CMOS_BASE_KIB, 2, BASE_MEMORY_KIB);
	store(cmos, CMOS_EXTENDED_KIB, 2, bytes_above(low, MAP_MIB(1)) >> 10);
	store(cmos, CMOS_EXTENDED_KIB_2, 2, bytes_above(low, MAP_MIB(1)) >> 10);
	store(cmos, CMOS_ABOVE_16_MIB, 2, bytes_above(low, MAP_MIB(16)) >> 16);
	store(cmos, CMOS_ABOVE_4_GIB, 3, options->ram_above_hole_bytes >> 16);
}

struct cmos *cmos_new(const struct cmos_options *options)
{
	struct cmos *cmos = calloc(1, sizeof(*cmos));

	if (!cmos)
		return NULL;
	pthread_mutex_init(&cmos->lock, NULL);
	cmos->now_ns = options->now_ns ? options->now_ns : host_now_ns;
	cmos->registers[RTC_STATUS_A] = A_POWER_ON;
	cmos->registers[RTC_STATUS_B] = RTC_B_24_HOURS;
	cmos->flags_read_at_ns = cmos->now_ns();
	store_memory_sizes(cmos, options);
	return cmos;
}

void cmos_destroy(struct cmos *cmos)
{
	if (!cmos)
		return;
	pthread_mutex_destroy(&cmos->lock);
	free(cmos);
}

void cmos_reset(struct cmos *cmos)
{
	pthread_mutex_lock(&cmos->lock);
	cmos->index = 0;
	cmos->registers[RTC_STATUS_B] &= (uint8_t)~B_ENABLES;
	pthread_mutex_unlock(&cmos->lock);
}

void cmos_save(struct cmos *cmos, Bulkhead__Platform__Cmos *state,
	       uint8_t registers[CMOS_REGISTER_COUNT])
{
	pthread_mutex_lock(&cmos->lock);
	memcpy(registers, cmos->registers, CMOS_REGISTER_COUNT);
	state->index = cmos->index;
	state->registers = (ProtobufCBinaryData){CMOS_REGISTER_COUNT, registers};
	state->offset_seconds = cmos->offset_seconds;
	pthread_mutex_unlock(&cmos->lock);
}

int cmos_restore(struct cmos *cmos, const Bulkhead__Platform__Cmos *state, struct error *err)
{
	if (state->index >= CMOS_REGISTER_COUNT || state->registers.len != CMOS_REGISTER_COUNT)
		return error_set(err, -EINVAL, "cmos: index %u of %zu registers", state->index,
				 state->registers.len);
	if (state->offset_seconds < -MAX_OFFSET_SECONDS ||
	    state->offset_seconds > MAX_OFFSET_SECONDS)
		return error_set(err, -EINVAL, "cmos: the clock is out of range");
	pthread_mutex_lock(&cmos->lock);
	memcpy(cmos->registers, state->registers.data, CMOS_REGISTER_COUNT);
	cmos->registers[RTC_STATUS_A] &= (uint8_t)~A_UPDATE_IN_PROGRESS;
	cmos->index = (uint8_t)state->index;
	cmos->offset_seconds = state->offset_seconds;
	cmos->flags_read_at_ns = cmos->now_ns();
	pthread_mutex_unlock(&cmos->lock);
	return 0;
}
