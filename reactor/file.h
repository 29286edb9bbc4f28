// SPDX-License-Identifier: Apache-2.0
//
// Words for operations on files.

#ifndef TINA_REACTOR_FILE_H
#define TINA_REACTOR_FILE_H

#include <stdint.h>

// Paths end with a zero and have at most so many bytes before it; the two of a rename have one less
// together. They are copied when the op is submitted.
#define TINA_PATH_BYTES_MAX 4095 // PATH_MAX less its terminator, limits.h

// How to open: READ, WRITE or both, and any of the others. What is opened has the rights to read
// and to write that were asked for, closes on exec and never becomes a controlling terminal. A FIFO
// is opened without waiting for its other end.
#define TINA_OPEN_READ      1u
#define TINA_OPEN_WRITE     2u
#define TINA_OPEN_CREATE    4u  // make it when it is not there
#define TINA_OPEN_EXCLUSIVE 8u  // with CREATE: fail with -EEXIST when it is there
#define TINA_OPEN_TRUNCATE  16u // with WRITE: cut it to no bytes
#define TINA_OPEN_APPEND    32u // with WRITE: every write goes to its end, whatever the offset
#define TINA_OPEN_DIRECTORY 64u // fail with -ENOTDIR when it is something else
#define TINA_OPEN_NO_LINKS                                                                         \
    128u // with READ alone: fail with -ELOOP when any part of the path is a
         // symbolic link, so that what is opened lies where the path says

// The place in a file where the last read or write ended, which is the only one that a FIFO or a
// terminal has.
#define TINA_OFFSET_POSITION UINT64_MAX

typedef enum tina_file_kind {
    TINA_FILE_REGULAR = 0,
    TINA_FILE_DIRECTORY,
    TINA_FILE_OTHER, // device, FIFO, socket
} tina_file_kind;

typedef struct tina_file_stat {
    uint64_t bytes;
    uint64_t modified_ns; // since 1970, UTC; 0 for what is older
    uint64_t device;
    uint64_t inode;
    uint32_t kind;        // tina_file_kind; of what a symbolic link points to
    uint32_t permissions; // the lower 12 bits, chmod(2)
} tina_file_stat;

#endif
