/* SPDX-License-Identifier: Apache-2.0 */
/* Where one JSON document of a QMP stream ends: at its last brace, or at the end of its line. */
#ifndef BULKHEAD_VMM_GATEWAY_QMP_DOCUMENT_H
#define BULKHEAD_VMM_GATEWAY_QMP_DOCUMENT_H

#include <stddef.h>

#define QMP_MAX_DOCUMENT_BYTES ((size_t)64 * 1024)

/*
 * The length of the first document of data, with the blanks before it, or 0 when it is not
 * complete. Clients end a document with a line end, or just stop after the closing brace; what is
 * not closed at the end of its line is broken and ends there, so that the next line is understood
 * again. *blank says that the document is nothing but blanks.
 */
size_t qmp_document_length(const char *data, size_t bytes, int *blank);

#endif
