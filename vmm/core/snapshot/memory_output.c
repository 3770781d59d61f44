/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/snapshot/memory_output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

/* One is filled, one is written, one waits: small enough to be written while a cache has them. */
#define BUFFERS 3

struct output_piece {
	uint8_t *data; /* owned */
	uint64_t offset;
	size_t bytes;
};

struct memory_output {
	int fd;
	_Atomic uint64_t *stored_bytes;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t changed;
	struct output_piece pieces[BUFFERS];
	unsigned submitted, written; /* counts; piece n is pieces[n % BUFFERS] */
	bool ending;
	struct error failure; /* of the first write that failed; nothing is written after it */
};

static int output_write(struct memory_output *output, const struct output_piece *piece,
			struct error *err)
{
	size_t done = 0;

	while (done < piece->bytes) {
		ssize_t written = pwrite(output->fd, piece->data + done, piece->bytes - done,
					 (off_t)(piece->offset + done));

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return error_set_errno(err, written ? -errno : -EIO,
					       "cannot be written at %" PRIu64,
					       piece->offset + done);
		done += (size_t)written;
	}
	atomic_fetch_add(output->stored_bytes, piece->bytes);
	/* The disk may begin. Only a hint: the file is flushed at the end, whatever this says. */
	(void)sync_file_range(output->fd, (off_t)piece->offset, (off_t)piece->bytes,
			      SYNC_FILE_RANGE_WRITE);
	return 0;
}

static void *output_run(void *opaque)
{
	struct memory_output *output = opaque;
	struct error failure = ERROR_INIT;

	(void)prctl(PR_SET_NAME, "memory-output");
	pthread_mutex_lock(&output->lock);
	for (;;) {
		while (output->written == output->submitted && !output->ending)
			pthread_cond_wait(&output->changed, &output->lock);
		if (output->ending)
			break;
		if (!output->failure.code) {
			/* The other side does not touch a piece between submitted and written. */
			pthread_mutex_unlock(&output->lock);
			(void)output_write(output, &output->pieces[output->written % BUFFERS],
					   &failure);
			pthread_mutex_lock(&output->lock);
			output->failure = failure;
		}
		output->written++;
		pthread_cond_broadcast(&output->changed);
	}
	pthread_mutex_unlock(&output->lock);
	return NULL;
}

struct memory_output *memory_output_new(int fd, _Atomic uint64_t *stored_bytes, struct error *err)
{
	struct memory_output *output = calloc(1, sizeof(*output));
	bool complete = output != NULL;
	int result;

	for (unsigned i = 0; complete && i < BUFFERS; i++) {
		output->pieces[i].data = malloc(MEMORY_OUTPUT_BYTES);
		complete = output->pieces[i].data != NULL;
	}
	if (!complete) {
		memory_output_destroy(output);
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	output->fd = fd;
	output->stored_bytes = stored_bytes;
	pthread_mutex_init(&output->lock, NULL);
	pthread_cond_init(&output->changed, NULL);
	result = pthread_create(&output->thread, NULL, output_run, output);
	output->has_thread = result == 0;
	if (output->has_thread)
		return output;
	memory_output_destroy(output);
	error_set_errno(err, -result, "cannot start a thread");
	return NULL;
}

uint8_t *memory_output_buffer(struct memory_output *output)
{
	uint8_t *data;

	pthread_mutex_lock(&output->lock);
	while (output->submitted - output->written == BUFFERS)
		pthread_cond_wait(&output->changed, &output->lock);
	data = output->pieces[output->submitted % BUFFERS].data;
	pthread_mutex_unlock(&output->lock);
	return data;
}

int memory_output_submit(struct memory_output *output, uint64_t offset, size_t bytes,
			 struct error *err)
{
	struct output_piece *piece;
	struct error failure;

	pthread_mutex_lock(&output->lock);
	piece = &output->pieces[output->submitted % BUFFERS];
	piece->offset = offset;
	piece->bytes = bytes;
	output->submitted++;
	failure = output->failure;
	pthread_cond_broadcast(&output->changed);
	pthread_mutex_unlock(&output->lock);
	return failure.code ? error_set(err, failure.code, "%s", failure.message) : 0;
}

int memory_output_finish(struct memory_output *output, struct error *err)
{
	struct error failure;

	pthread_mutex_lock(&output->lock);
	while (output->written != output->submitted)
		pthread_cond_wait(&output->changed, &output->lock);
	failure = output->failure;
	pthread_mutex_unlock(&output->lock);
	return failure.code ? error_set(err, failure.code, "%s", failure.message) : 0;
}

void memory_output_destroy(struct memory_output *output)
{
	if (!output)
		return;
	if (output->has_thread) {
		pthread_mutex_lock(&output->lock);
		output->ending = true;
		pthread_cond_broadcast(&output->changed);
		pthread_mutex_unlock(&output->lock);
		(void)pthread_join(output->thread, NULL);
	}
	for (unsigned i = 0; i < BUFFERS; i++)
		free(output->pieces[i].data);
	free(output);
}
