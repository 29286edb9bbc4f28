// SPDX-License-Identifier: Apache-2.0

#include "sim/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "sim/disk_state.h"

#define OPENED_MAX 65536u

// What an op has drawn.
typedef struct disk_luck {
    bool error;
    bool is_short;
    bool full;
    bool rot;
    uint64_t chance;
    uint64_t other_chance;
} disk_luck;

bool sim_disk_takes(const tina_backend_op *op) {
    switch (op->kind) {
    case TINA_OP_OPEN:
    case TINA_OP_RENAME:
    case TINA_OP_UNLINK:
        return true;
    case TINA_OP_STAT:
        return op->os_fd < 0 || sim_disk_owns(op->os_fd);
    case TINA_OP_READ:
    case TINA_OP_WRITE:
    case TINA_OP_FSYNC:
    case TINA_OP_CLOSE:
        return sim_disk_owns(op->os_fd);
    default:
        return false;
    }
}

static sim_opened *opened_find(const sim_disk *disk, int os_fd) {
    int64_t slot = (int64_t)os_fd - disk->fd_first;
    if (slot < 0 || slot >= disk->opened_count || !disk->opened[slot].file)
        return NULL;
    return &disk->opened[slot];
}

// The file that an op is about, before it has changed anything; NULL: there is none.
static sim_file *op_file(const sim_disk *disk, const tina_backend_op *op) {
    if (op->os_fd >= 0) {
        const sim_opened *opened = opened_find(disk, op->os_fd);
        return opened ? opened->file : NULL;
    }
    sim_place place;
    return sim_place_find(disk, op->data, &place) == 0 ? place.file : NULL;
}

uint64_t sim_disk_delay_ns(sim_disk *disk, const tina_backend_op *op) {
    sim_file *file = op_file(disk, op);
    return sim_draw_upto(file ? &file->stream : &disk->stream, disk->world->settings.disk_ns);
}

static disk_luck luck_draw(sim_world *world, sim_stream *stream, uint8_t kind) {
    const tina_sim_settings *settings = &world->settings;
    disk_luck luck = {0};
    if (kind == TINA_OP_CLOSE)
        return luck;
    luck.error = sim_strikes(world, stream, settings->disk_error_ppm);
    if (kind == TINA_OP_READ || kind == TINA_OP_WRITE)
        luck.is_short = sim_strikes(world, stream, settings->disk_short_ppm);
    if (kind == TINA_OP_READ)
        luck.rot = sim_strikes(world, stream, settings->disk_rot_ppm);
    if (kind == TINA_OP_WRITE)
        luck.full = sim_strikes(world, stream, settings->disk_full_ppm);
    luck.chance = sim_draw_upto(stream, UINT64_MAX);
    luck.other_chance = sim_draw_upto(stream, UINT64_MAX);
    return luck;
}

bool sim_disk_is_full(const sim_disk *disk) {
    const sim_world *world = disk->world;
    return world->faults && world->now_ns < world->faults_until_ns &&
           world->now_ns < disk->full_until_ns;
}

int32_t sim_disk_full_answer(sim_disk *disk) {
    disk->counts.fulls++;
    return -ENOSPC;
}

// At least one byte, and one less than there might have been.
static uint32_t bytes_shorten(sim_disk *disk, uint32_t bytes, const disk_luck *luck) {
    if (!luck->is_short || bytes < 2)
        return bytes;
    disk->counts.shorts++;
    return (uint32_t)(1 + luck->chance % (bytes - 1));
}

int32_t sim_opened_take(sim_disk *disk, sim_file *file, uint32_t how) {
    uint32_t slot = 0;
    while (slot < disk->opened_count && disk->opened[slot].file)
        slot++;
    if (slot == OPENED_MAX)
        return -EMFILE;
    if (slot == disk->opened_capacity) {
        disk->opened_capacity = slot ? 2 * slot : 16;
        disk->opened = realloc(disk->opened, disk->opened_capacity * sizeof *disk->opened);
        TINA_ASSERT(disk->opened != NULL);
    }
    if (slot == disk->opened_count)
        disk->opened_count++;
    disk->opened[slot] = (sim_opened){.file = file, .how = how, .failures = file->failures};
    sim_file_use(disk, file);
    return disk->fd_first + (int32_t)slot;
}

static void bit_rot(sim_disk *disk, uint8_t *data, uint32_t bytes, uint64_t chance) {
    uint64_t bit = chance % (8 * (uint64_t)bytes);
    data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    disk->counts.rots++;
}

// What is to be read into, and how much that holds.
typedef struct disk_buffer {
    void *data;
    uint32_t bytes;
} disk_buffer;

static int32_t read_do(sim_disk *disk, sim_opened *opened, const tina_backend_op *op,
                       const disk_luck *luck, disk_buffer buffer) {
    bool positioned = op->offset == TINA_OFFSET_POSITION;
    uint64_t at = positioned ? opened->position : op->offset;
    uint64_t end = opened->file->seen.bytes;
    uint32_t bytes = op->bytes < buffer.bytes ? op->bytes : buffer.bytes;
    bytes = bytes < SIM_WRITE_MAX ? bytes : SIM_WRITE_MAX;
    if (at >= end)
        return 0;
    bytes = end - at < bytes ? (uint32_t)(end - at) : bytes;
    bytes = bytes_shorten(disk, bytes, luck);
    uint64_t read = sim_bytes_read(&opened->file->seen, at, buffer.data, bytes);
    TINA_ASSERT(read == bytes);
    if (luck->rot && bytes)
        bit_rot(disk, buffer.data, bytes, luck->other_chance);
    if (positioned)
        opened->position += bytes;
    return (int32_t)bytes;
}

static void full_begin(sim_disk *disk, uint64_t chance) {
    uint64_t most = disk->world->settings.disk_full_ns;
    uint64_t lasts = most == UINT64_MAX ? chance : chance % (most + 1);
    disk->full_until_ns = disk->world->now_ns + lasts + 1; // this write too
}

static int32_t write_do(sim_disk *disk, sim_opened *opened, const tina_backend_op *op,
                        const disk_luck *luck) {
    sim_file *file = opened->file;
    bool positioned = op->offset == TINA_OFFSET_POSITION;
    uint64_t at = positioned ? opened->position : op->offset;
    at = opened->how & TINA_OPEN_APPEND ? file->seen.bytes : at;
    if (op->bytes == 0)
        return 0;
    if (at >= SIM_FILE_BYTES_MAX)
        return -EFBIG;
    if (luck->full && !sim_disk_is_full(disk))
        full_begin(disk, luck->other_chance);
    if (sim_disk_is_full(disk))
        return sim_disk_full_answer(disk);
    uint64_t most =
        SIM_FILE_BYTES_MAX - at < SIM_WRITE_MAX ? SIM_FILE_BYTES_MAX - at : SIM_WRITE_MAX;
    uint32_t bytes = bytes_shorten(disk, op->bytes < most ? op->bytes : (uint32_t)most, luck);
    uint64_t free_pages = disk->pages < disk->pages_max ? disk->pages_max - disk->pages : 0;
    bytes = (uint32_t)sim_bytes_room(&file->seen, at, bytes, free_pages);
    if (bytes == 0)
        return sim_disk_full_answer(disk);
    sim_file_write(disk, file, at, op->data, bytes);
    if (positioned)
        opened->position = at + bytes;
    return (int32_t)bytes;
}

static int32_t error_answer(sim_disk *disk) {
    disk->counts.errors++;
    return -EIO;
}

static int32_t fsync_do(sim_disk *disk, sim_opened *opened, const disk_luck *luck) {
    sim_file *file = opened->file;
    if (luck->error && !file->is_directory)
        sim_file_sync_fail(disk, file, luck->chance);
    else if (!luck->error && file->is_directory)
        sim_changes_commit(disk, file);
    else if (!luck->error)
        sim_file_sync(file);
    bool told = opened->failures == file->failures;
    opened->failures = file->failures;
    if (luck->error)
        return error_answer(disk);
    return told ? 0 : -EIO;
}

void sim_disk_close_fd(sim_disk *disk, int os_fd) {
    TINA_ASSERT(sim_disk_owns(os_fd));
    sim_opened *opened = opened_find(disk, os_fd);
    if (!opened) {
        TINA_ASSERT(os_fd < disk->fd_first); // else it is closed twice
        return;
    }
    sim_file *file = opened->file;
    opened->file = NULL;
    sim_file_leave(disk, file);
}

static int32_t close_do(sim_disk *disk, int os_fd) {
    sim_disk_close_fd(disk, os_fd);
    return 0;
}

// What an fd was not opened for.
static int32_t opened_check(const sim_opened *opened, uint8_t kind) {
    uint32_t rights = opened->how & (TINA_OPEN_READ | TINA_OPEN_WRITE);
    if (kind == TINA_OP_READ && rights == TINA_OPEN_WRITE)
        return -EBADF;
    if (kind == TINA_OP_WRITE && !(rights & TINA_OPEN_WRITE))
        return -EBADF;
    return kind == TINA_OP_READ && opened->file->is_directory ? -EISDIR : 0;
}

static int32_t fd_op_do(sim_disk *disk, const tina_backend_op *op, const disk_luck *luck,
                        disk_buffer buffer, tina_file_stat *stat) {
    sim_opened *opened = opened_find(disk, op->os_fd);
    int32_t result = opened ? opened_check(opened, op->kind) : -EBADF;
    if (result < 0)
        return result;
    if (luck->error && op->kind != TINA_OP_FSYNC)
        return error_answer(disk);
    switch (op->kind) {
    case TINA_OP_READ:
        return read_do(disk, opened, op, luck, buffer);
    case TINA_OP_WRITE:
        return write_do(disk, opened, op, luck);
    case TINA_OP_FSYNC:
        return fsync_do(disk, opened, luck);
    case TINA_OP_STAT:
        return sim_stat_do(opened->file, stat);
    case TINA_OP_CLOSE:
        return close_do(disk, op->os_fd);
    default:
        tina_assert_failed("an op that is none of a file", __FILE__, __LINE__);
    }
}

int32_t sim_disk_do(sim_disk *disk, const tina_backend_op *op, void *buffer, uint32_t buffer_bytes,
                    tina_file_stat *stat) {
    TINA_ASSERT(sim_disk_takes(op));
    sim_file *file = op_file(disk, op);
    uint32_t number = file ? file->number : 0;
    disk_luck luck = luck_draw(disk->world, file ? &file->stream : &disk->stream, op->kind);
    int32_t result;
    if (op->os_fd >= 0)
        result = fd_op_do(disk, op, &luck, (disk_buffer){buffer, buffer_bytes}, stat);
    else if (luck.error)
        result = error_answer(disk);
    else
        result = sim_path_op_do(disk, op, stat);
    sim_note(disk->world, SIM_DISK, SIM_NOWHERE, op->kind,
             (uint64_t)number << 32 | (uint32_t)result);
    return result;
}
