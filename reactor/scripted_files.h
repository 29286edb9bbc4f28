// SPDX-License-Identifier: Apache-2.0
//
// The files inside //reactor:scripted: names and bytes in one flat table, of a bounded number and
// length. "." is the one directory; what comes before a name's last slash is part of the name.
// Nothing here waits. Errors are Linux's; a file or the table that is full is ENOSPC.

#ifndef TINA_REACTOR_SCRIPTED_FILES_H
#define TINA_REACTOR_SCRIPTED_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "reactor/file.h"

#define SCRIPTED_NAME_BYTES 64 // with its zero

typedef struct scripted_file {
    char name[SCRIPTED_NAME_BYTES]; // empty: unlinked, and there while it is open
    uint32_t bytes;
    uint32_t opened; // by so many
    uint64_t modified_ns;
    uint32_t permissions;
    bool used;
    uint8_t *data;
} scripted_file;

typedef struct scripted_opened {
    int32_t file; // -1: free; the directory: file_count
    uint32_t how;
    uint64_t position;
} scripted_opened;

typedef struct scripted_files {
    scripted_file *files;
    scripted_opened *opened;
    int32_t file_count;
    int32_t opened_count;
    uint32_t file_bytes_max;
    uint64_t writes; // the clock of modified_ns
} scripted_files;

void tina_files_init(scripted_files *fs, uint8_t *data);
int32_t tina_files_open(scripted_files *fs, const char *path, uint32_t how, uint32_t permissions);
int32_t tina_files_read(scripted_files *fs, int32_t opened, uint64_t offset, void *data,
                        uint32_t bytes);
int32_t tina_files_write(scripted_files *fs, int32_t opened, uint64_t offset, const void *data,
                         uint32_t bytes);
int32_t tina_files_stat(const scripted_files *fs, int32_t opened, const char *path,
                        tina_file_stat *stat);
int32_t tina_files_rename(scripted_files *fs, const char *from, const char *to);
int32_t tina_files_unlink(scripted_files *fs, const char *path);
void tina_files_close(scripted_files *fs, int32_t opened);

#endif
