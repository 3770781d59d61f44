/* SPDX-License-Identifier: Apache-2.0 */
/* What the cases of tests/native need and a shell cannot do. */
#ifndef BULKHEAD_TESTS_NATIVE_HELPER_H
#define BULKHEAD_TESTS_NATIVE_HELPER_H

/* json FIELD…: 0 if every line of the input is an object with these fields, all strings. */
int helper_json(int argc, char **argv);

/*
 * socket PATH send TEXT SECONDS   send TEXT, print what comes in SECONDS
 * socket PATH idle SECONDS        connect and never read
 * socket PATH flood BYTES         send so much and read nothing; stops when refused for 2 seconds
 */
int helper_socket(int argc, char **argv);

/* pty PATH TEXT SECONDS: open the terminal, send TEXT, print what comes in SECONDS. */
int helper_pty(int argc, char **argv);

#endif
