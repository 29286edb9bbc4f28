// SPDX-License-Identifier: Apache-2.0

#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "sim/disk_state.h"

sim_file *sim_file_make(sim_disk *disk, bool is_directory, uint32_t permissions) {
    sim_file *file = calloc(1, sizeof *file);
    TINA_ASSERT(file != NULL);
    file->number = ++disk->numbers;
    file->is_directory = is_directory;
    file->permissions = permissions;
    file->modified_ns = disk->world->now_ns;
    file->stream = sim_stream_of(disk->world, SIM_DOMAIN_DISK, file->number);
    file->previous = disk->last;
    *(disk->last ? &disk->last->next : &disk->first) = file;
    disk->last = file;
    return file;
}

static void writes_free(sim_write *writes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        free(writes[i].data);
}

static void file_free(sim_disk *disk, sim_file *file) {
    *(file->previous ? &file->previous->next : &disk->first) = file->next;
    *(file->next ? &file->next->previous : &disk->last) = file->previous;
    sim_bytes_free(&file->seen);
    sim_bytes_free(&file->medium);
    writes_free(file->unsynced, file->unsynced_count);
    free(file->unsynced);
    free(file);
}

void sim_file_hold(sim_file *file) {
    file->references++;
}

void sim_file_drop(sim_disk *disk, sim_file *file) {
    TINA_ASSERT(file->references > 0);
    if (--file->references == 0)
        file_free(disk, file);
}

void sim_file_use(sim_disk *disk, sim_file *file) {
    file->references++;
    if (file->users++ == 0)
        disk->pages += file->seen.page_count;
}

void sim_file_leave(sim_disk *disk, sim_file *file) {
    TINA_ASSERT(file->users > 0);
    if (--file->users == 0)
        disk->pages -= file->seen.page_count;
    sim_file_drop(disk, file);
}

static void write_apply(sim_bytes *medium, const sim_write *write) {
    if (write->data)
        sim_bytes_write(medium, write->at, write->data, write->bytes);
    else
        sim_bytes_clear(medium);
}

// The oldest go to the medium.
static void writes_settle(sim_file *file, uint32_t count) {
    if (count == 0)
        return;
    for (uint32_t i = 0; i < count; i++)
        write_apply(&file->medium, &file->unsynced[i]);
    writes_free(file->unsynced, count);
    file->unsynced_count -= count;
    memmove(file->unsynced, file->unsynced + count, file->unsynced_count * sizeof(sim_write));
}

static void write_add(sim_disk *disk, sim_file *file, sim_write write) {
    if (!file->unsynced)
        file->unsynced = malloc(SIM_DISK_UNSYNCED * sizeof(sim_write));
    TINA_ASSERT(file->unsynced != NULL);
    if (file->unsynced_count == SIM_DISK_UNSYNCED)
        writes_settle(file, SIM_DISK_UNSYNCED / 2);
    file->unsynced[file->unsynced_count++] = write;
    TINA_ASSERT(file->users > 0);
    disk->pages -= file->seen.page_count;
    write_apply(&file->seen, &write);
    disk->pages += file->seen.page_count;
    file->modified_ns = disk->world->now_ns;
}

void sim_file_write(sim_disk *disk, sim_file *file, uint64_t at, const void *data, uint32_t bytes) {
    TINA_ASSERT(!file->is_directory && bytes > 0);
    sim_write write = {at, bytes, malloc(bytes)};
    TINA_ASSERT(write.data != NULL);
    memcpy(write.data, data, bytes);
    write_add(disk, file, write);
}

void sim_file_truncate(sim_disk *disk, sim_file *file) {
    TINA_ASSERT(!file->is_directory);
    write_add(disk, file, (sim_write){0});
}

// After a failed fsync the medium may lack bytes at the end; its length is the inode's, and that is
// written whatever became of pages.
void sim_file_sync(sim_file *file) {
    writes_settle(file, file->unsynced_count);
    TINA_ASSERT(file->medium.bytes <= file->seen.bytes);
    file->medium.bytes = file->seen.bytes;
}

// One write has certainly failed, of the others about half. A truncate is the journal's.
void sim_file_sync_fail(sim_disk *disk, sim_file *file, uint64_t chance) {
    tina_prng prng = tina_prng_make(chance, SIM_DOMAIN_DISK, file->number);
    uint32_t count = file->unsynced_count;
    uint64_t failed = tina_prng_below(&prng, count ? count : 1);
    file->failures++;
    for (uint32_t i = 0; i < count; i++) {
        bool lost = tina_prng_chance(&prng, 1, 2);
        if (file->unsynced[i].data && (lost || i == failed))
            disk->counts.unsynced++;
        else
            write_apply(&file->medium, &file->unsynced[i]);
    }
    writes_free(file->unsynced, count);
    file->unsynced_count = 0;
}

// A write's sectors are those of the file, as a medium has them.
static void sectors_apply(sim_bytes *medium, const sim_write *write, tina_prng *prng) {
    for (uint64_t done = 0; done < write->bytes;) {
        uint64_t at = write->at + done;
        uint64_t sector = SIM_SECTOR_BYTES - at % SIM_SECTOR_BYTES;
        uint64_t piece = sector < write->bytes - done ? sector : write->bytes - done;
        if (tina_prng_chance(prng, 1, 2))
            sim_bytes_write(medium, at, write->data + done, piece);
        done += piece;
    }
}

static void write_tear(sim_disk *disk, sim_file *file, const sim_write *write, uint64_t chance) {
    tina_prng prng = tina_prng_make(chance, SIM_DOMAIN_DISK, file->number);
    uint64_t fate = tina_prng_below(&prng, 3);
    if (fate == 0 || !write->data) {
        disk->counts.writes_lost++;
        return;
    }
    disk->counts.writes_torn++;
    if (fate == 1)
        sim_bytes_write(&file->medium, write->at, write->data,
                        tina_prng_below(&prng, write->bytes));
    else
        sectors_apply(&file->medium, write, &prng);
}

void sim_file_crash(sim_disk *disk, sim_file *file) {
    sim_world *world = disk->world;
    for (uint32_t i = 0; i < file->unsynced_count; i++) {
        const sim_write *write = &file->unsynced[i];
        bool torn = sim_strikes(world, &file->stream, world->settings.disk_torn_ppm);
        uint64_t chance = sim_draw_upto(&file->stream, UINT64_MAX);
        if (torn) {
            write_tear(disk, file, write, chance);
            continue;
        }
        write_apply(&file->medium, write);
        disk->counts.writes_kept++;
    }
    writes_free(file->unsynced, file->unsynced_count);
    file->unsynced_count = 0;
    sim_bytes_copy(&file->seen, &file->medium);
}
