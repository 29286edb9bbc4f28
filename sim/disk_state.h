// SPDX-License-Identifier: Apache-2.0
//
// Inside //sim:disk: contents, files, names and what is not on the medium yet.

#ifndef TINA_SIM_DISK_STATE_H
#define TINA_SIM_DISK_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/disk.h"

#define SIM_PAGE_BYTES     4096u
#define SIM_SECTOR_BYTES   512u
#define SIM_NAME_BYTES_MAX 255u                 // NAME_MAX
#define SIM_FILE_BYTES_MAX (UINT64_C(1) << 44)  // ext4's; beyond it: EFBIG
#define SIM_WRITE_MAX      UINT32_C(0x7FFFF000) // MAX_RW_COUNT, so that a result is no error

// Sparse bytes: what no page holds is zero. Pages ascend, and none lies beyond the end; the last
// one is zero behind it.
typedef struct sim_page {
    uint64_t number;
    uint8_t *data;
} sim_page;

typedef struct sim_bytes {
    sim_page *pages;
    uint32_t page_count;
    uint32_t page_capacity;
    uint64_t bytes;
} sim_bytes;

void sim_bytes_write(sim_bytes *content, uint64_t at, const void *data, uint64_t bytes);
uint64_t sim_bytes_read(const sim_bytes *content, uint64_t at, void *to, uint64_t bytes);
void sim_bytes_clear(sim_bytes *content);
void sim_bytes_copy(sim_bytes *content, const sim_bytes *from);
void sim_bytes_free(sim_bytes *content);
uint64_t sim_bytes_hash(const sim_bytes *content);

// How many of these bytes can be written with so many pages more.
uint64_t sim_bytes_room(const sim_bytes *content, uint64_t at, uint64_t bytes, uint64_t pages);

typedef struct sim_write {
    uint64_t at;
    uint64_t bytes;
    uint8_t *data; // NULL: a truncate, to no bytes
} sim_write;

typedef struct sim_file sim_file;
struct sim_file {
    uint32_t number;
    uint32_t references; // names of either kind, changes of names, fds; the disk's own to "/"
    uint32_t users;      // names that are seen and fds: without one it takes no room
    uint32_t permissions;
    uint32_t failures; // of fsync
    bool is_directory;
    bool cut;         // a directory during a loss of power: what follows is lost
    sim_file *parent; // of a directory that is seen
    uint64_t modified_ns;
    sim_stream stream;
    sim_bytes seen;
    sim_bytes medium;
    sim_write *unsynced; // in order
    uint32_t unsynced_count;
    sim_file *next; // by number
    sim_file *previous;
};

// Ascending by directory's number and name.
typedef struct sim_name {
    sim_file *directory;
    char *name;
    sim_file *file;
} sim_name;

typedef struct sim_names {
    sim_name *rows;
    uint32_t count;
    uint32_t capacity;
} sim_names;

// A change of names that is not on the medium: one goes, one comes, or both.
typedef struct sim_change {
    sim_file *from_directory; // NULL: a create
    char *from;
    sim_file *to_directory; // NULL: an unlink
    char *to;
    sim_file *file;
    bool ordered; // after all before it: a directory's rename, or there might be rings of them
} sim_change;

typedef struct sim_opened {
    sim_file *file; // NULL: free
    uint32_t how;
    uint32_t failures; // that it was told of
    uint64_t position;
} sim_opened;

struct sim_disk {
    sim_world *world;
    sim_stream stream;
    sim_file *root;
    sim_file *first;
    sim_file *last;
    uint32_t numbers; // given out
    sim_names seen;
    sim_names medium;
    sim_change *changes; // in order
    uint32_t change_count;
    uint32_t change_capacity;
    sim_opened *opened;
    uint32_t opened_count;
    uint32_t opened_capacity;
    int32_t fd_first; // of opened[0]: an fd from before a loss of power is never another's
    uint64_t pages;   // that are seen, of files with users
    uint64_t pages_max;
    uint64_t full_until_ns;
    sim_disk_counts counts;
};

// Files. A drop frees a file to which nothing refers.
sim_file *sim_file_make(sim_disk *disk, bool is_directory, uint32_t permissions);
void sim_file_hold(sim_file *file);
void sim_file_drop(sim_disk *disk, sim_file *file);
void sim_file_use(sim_disk *disk, sim_file *file); // and hold
void sim_file_leave(sim_disk *disk, sim_file *file);
void sim_file_write(sim_disk *disk, sim_file *file, uint64_t at, const void *data, uint32_t bytes);
void sim_file_truncate(sim_disk *disk, sim_file *file);
void sim_file_sync(sim_file *file);
void sim_file_sync_fail(sim_disk *disk, sim_file *file, uint64_t chance);
void sim_file_crash(sim_disk *disk, sim_file *file);

// Names. A find returns NULL where there is none.
sim_name *sim_names_find(const sim_names *names, const sim_file *directory, const char *name);
uint32_t sim_names_lower(const sim_names *names, const sim_file *directory, const char *name);
bool sim_names_any(const sim_names *names, const sim_file *directory);
void sim_names_clear(sim_disk *disk, sim_names *names);

// Changes what is seen; the medium follows with a commit of a directory that it is about. What
// `change` points to is copied.
void sim_change_make(sim_disk *disk, const sim_change *change);
void sim_changes_commit(sim_disk *disk, sim_file *directory);
void sim_changes_crash(sim_disk *disk);
void sim_changes_clear(sim_disk *disk);

// sim_opened_take returns an fd, or -EMFILE.
int32_t sim_opened_take(sim_disk *disk, sim_file *file, uint32_t how);

// Whether it is full for a while; sim_disk_full_answer counts and returns -ENOSPC.
bool sim_disk_is_full(const sim_disk *disk);
int32_t sim_disk_full_answer(sim_disk *disk);

// Where a path leads. Without `named` it ends in "/", "." or "..", and has no name to change.
typedef struct sim_place {
    sim_file *directory; // if named: of the name
    sim_file *file;      // NULL: there is none
    char name[SIM_NAME_BYTES_MAX + 1];
    bool named;
    bool slashed; // a slash is behind it, so it must be a directory
} sim_place;

int32_t sim_place_find(const sim_disk *disk, const char *path, sim_place *place);

// An op on a path that no error has struck.
int32_t sim_path_op_do(sim_disk *disk, const tina_backend_op *op, tina_file_stat *stat);
int32_t sim_stat_do(const sim_file *file, tina_file_stat *stat);

#endif
