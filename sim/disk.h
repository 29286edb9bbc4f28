// SPDX-License-Identifier: Apache-2.0
//
// The disk of a simulated machine: a small file system in memory, which outlives the processes that
// use it and, as far as they have synced, the machine's loss of power.
//
// Of all there are two states: what a process sees, and what the medium has.
//
//     write, truncate ─▶ seen ── fsync of the file ──────▶ on the medium
//     create, rename, unlink ─▶ seen ── fsync of the directory ──▶ on the medium
//
// A loss of power decides what becomes of the rest:
// - a write: by disk_torn_ppm it is lost, cut to a prefix or kept in some of its sectors of 512
//   bytes; else it is kept. A truncate is lost or kept.
// - names: of each directory's changes a prefix is kept, which ends at the first that disk_torn_ppm
//   strikes. So a renamed file has its old name or its new one, never none and never both, and a
//   rename between two directories happens in both or in neither; its fsync in either is both's.
// So a file may have its name and none of its bytes, and bytes that are synced may have no name.
// Within one file the medium takes writes in no order, between files neither. What is more than
// SIM_DISK_UNSYNCED writes behind is on the medium without being asked for.
//
// An fsync that fails (EIO) is Linux's: of what it should have written some is on the medium, the
// rest never will be, though readers see it until the power goes. The next fsync does not try it
// again and answers 0: only what is written anew is safe. Every fd that was open by then is told
// once. A directory's fsync that fails has done nothing, and may be repeated.
//
// No users, so no permissions are checked; no links; a machine's current directory is "/".
// A directory that is renamed comes after every change of names before it.
// Entities of SIM_DOMAIN_DISK are numbers of files, 0 where an op finds no file: a world has one
// disk. What an op draws from a stream is as many numbers whatever comes of it.

#ifndef TINA_SIM_DISK_H
#define TINA_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reactor/backend.h"
#include "sim/world.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SIM_DISK_FD_FIRST (1 << 20) // os_fds of files; those of sockets lie below
#define SIM_DISK_UNSYNCED 1024u     // writes of one file

// What chance has done to this disk's users.
typedef struct sim_disk_counts {
    uint64_t errors;      // EIO
    uint64_t shorts;      // a read or write did less than it could have
    uint64_t fulls;       // ENOSPC, for want of room or not
    uint64_t rots;        // bits
    uint64_t unsynced;    // writes and truncates that a failed fsync has given up
    uint64_t writes_kept; // at losses of power, of those not synced
    uint64_t writes_lost; // ... truncates too
    uint64_t writes_torn;
    uint64_t names_kept; // changes of names
    uint64_t names_lost;
} sim_disk_counts;

typedef struct sim_disk sim_disk;

// sim_disk_open returns an empty disk with room for 1 GiB. The world outlives it.
sim_disk *sim_disk_open(sim_world *world);
void sim_disk_free(sim_disk *disk);

// sim_disk_limit sets how much it has room for: pages of 4096 bytes with anything in them.
void sim_disk_limit(sim_disk *disk, uint64_t bytes);

static inline bool sim_disk_owns(int os_fd) {
    return os_fd >= SIM_DISK_FD_FIRST;
}

// sim_disk_takes returns whether an op is for a disk: open, rename, unlink and stat of paths; read,
// write, fsync, stat and close of its fds.
bool sim_disk_takes(const tina_backend_op *op);

// sim_disk_delay_ns draws how long an op takes.
uint64_t sim_disk_delay_ns(sim_disk *disk, const tina_backend_op *op);

// sim_disk_do carries an op out, when its delay is over, and returns its result, -errno as
// io_uring's. A read writes at most buffer_bytes to `buffer`; a stat that succeeds writes *stat.
// Other ops need neither.
int32_t sim_disk_do(sim_disk *disk, const tina_backend_op *op, void *buffer, uint32_t buffer_bytes,
                    tina_file_stat *stat);

// sim_disk_close_fd closes an fd, of a process that died, say; one that a loss of power has closed
// may be closed again.
void sim_disk_close_fd(sim_disk *disk, int os_fd);

// sim_disk_crash is a loss of power: no fd is open any more, and what the medium has is what there
// is. No op may be under way.
void sim_disk_crash(sim_disk *disk);

// For scenarios and tests: without chances and without delay.

// sim_disk_write_file makes a file of these bytes, and the directories on its path, all on the
// medium, with the other names of its directory. Returns 0 or -errno.
int32_t sim_disk_write_file(sim_disk *disk, const char *path, const void *data, uint64_t bytes);
int32_t sim_disk_make_directory(sim_disk *disk, const char *path);

// sim_disk_read_file returns how many bytes a file has, or -errno, and writes the first of them.
int64_t sim_disk_read_file(const sim_disk *disk, const char *path, void *buffer, uint64_t bytes);

// sim_disk_list returns a directory's index-th name in strcmp's order, valid until names change;
// NULL: it has no more, or is none.
const char *sim_disk_list(const sim_disk *disk, const char *directory, uint32_t index);

uint32_t sim_disk_open_fds(const sim_disk *disk);
const sim_disk_counts *sim_disk_count(const sim_disk *disk);

// sim_disk_hash returns a hash of all that is seen: names, kinds and bytes.
uint64_t sim_disk_hash(const sim_disk *disk);

// sim_disk_check asserts what always holds. O(all files).
void sim_disk_check(const sim_disk *disk);

#ifdef __cplusplus
}
#endif

#endif
