/* SPDX-License-Identifier: Apache-2.0 */
/* A client that sends bytes as it likes and looks at the bytes that come back. */
#ifndef BULKHEAD_TESTS_VMM_GATEWAY_RAW_CLIENT_H
#define BULKHEAD_TESTS_VMM_GATEWAY_RAW_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#define CLIENT_TIMEOUT_MS 5000

/* Connect; -1 with a line printed. */
int client_connect(const char *path);

/* Send all of text; false: the other side does not take it. */
bool client_send(int fd, const char *text);
bool client_send_bytes(int fd, const void *data, size_t bytes);
/* The same with copies of other_fd, fd_count times, on the first byte. */
bool client_send_fds(int fd, const char *text, int other_fd, unsigned fd_count);

/*
 * One whole HTTP response, head and body, into text (terminated). Returns its status; 0: the
 * connection ended before; -1: nothing in time.
 */
int client_response(int fd, char *text, size_t size);

/* One line without its end. 1; 0: the connection ended; -1: nothing in time. */
int client_line(int fd, char *text, size_t size, int timeout_ms);

/* Send text, read one response. */
int client_exchange(int fd, const char *text, char *response, size_t size);

/* One request on a connection of its own: "PUT", "vm.boot", body or NULL. */
int client_request(const char *path, const char *method, const char *name, const char *body,
		   char *response, size_t size);

/* True when the other side has closed, within timeout_ms. What it sent before is thrown away. */
bool client_is_closed(int fd, int timeout_ms);

/* The part of a response after its head. */
const char *client_body(const char *response);

#endif
