// SPDX-License-Identifier: Apache-2.0
//
// From the first boot to a loss of power; what a scenario puts on a disk and finds there.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "sim/disk_state.h"

#define ROOM_BYTES (UINT64_C(1) << 30)

sim_disk *sim_disk_open(sim_world *world) {
    sim_disk *disk = calloc(1, sizeof *disk);
    TINA_ASSERT(disk != NULL);
    disk->world = world;
    disk->stream = sim_stream_of(world, SIM_DOMAIN_DISK, 0);
    disk->fd_first = SIM_DISK_FD_FIRST;
    disk->root = sim_file_make(disk, true, 0755);
    disk->root->parent = disk->root;
    sim_file_hold(disk->root);
    sim_disk_limit(disk, ROOM_BYTES);
    return disk;
}

void sim_disk_limit(sim_disk *disk, uint64_t bytes) {
    disk->pages_max = bytes / SIM_PAGE_BYTES;
}

static void opened_clear(sim_disk *disk) {
    for (uint32_t i = 0; i < disk->opened_count; i++)
        if (disk->opened[i].file)
            sim_file_leave(disk, disk->opened[i].file);
    disk->fd_first += (int32_t)disk->opened_count;
    disk->opened_count = 0;
}

void sim_disk_free(sim_disk *disk) {
    opened_clear(disk);
    sim_changes_clear(disk);
    sim_names_clear(disk, &disk->seen);
    sim_names_clear(disk, &disk->medium);
    sim_file_drop(disk, disk->root);
    TINA_ASSERT(disk->first == NULL);
    TINA_ASSERT(disk->pages == 0);
    free(disk->opened);
    free(disk->changes);
    free(disk->seen.rows);
    free(disk->medium.rows);
    free(disk);
}

void sim_disk_crash(sim_disk *disk) {
    opened_clear(disk);
    sim_changes_crash(disk);
    disk->pages = 0;
    for (sim_file *file = disk->first; file; file = file->next) {
        sim_file_crash(disk, file);
        disk->pages += file->users ? file->seen.page_count : 0;
    }
    uint64_t hash = sim_disk_hash(disk);
    sim_note(disk->world, SIM_DISK, SIM_NOWHERE, UINT32_MAX, hash);
}

// The directories on a path; `place` is then the path's.
static int32_t way_make(sim_disk *disk, const char *path, sim_place *place) {
    char part[TINA_PATH_BYTES_MAX + 1];
    size_t bytes = strlen(path);
    if (bytes > TINA_PATH_BYTES_MAX)
        return -ENAMETOOLONG;
    for (size_t i = 1; i < bytes; i++) {
        if (path[i] != '/' || path[i - 1] == '/')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        int32_t result = sim_disk_make_directory(disk, part);
        if (result < 0 && result != -EEXIST)
            return result;
    }
    return sim_place_find(disk, path, place);
}

static void name_make(sim_disk *disk, const sim_place *place, sim_file *file) {
    sim_change change = {
        .to_directory = place->directory, .to = (char *)(uintptr_t)place->name, .file = file};
    sim_change_make(disk, &change);
    sim_changes_commit(disk, place->directory);
}

int32_t sim_disk_make_directory(sim_disk *disk, const char *path) {
    sim_place place;
    int32_t result = way_make(disk, path, &place);
    if (result < 0)
        return result;
    if (place.file)
        return place.file->is_directory ? -EEXIST : -ENOTDIR;
    name_make(disk, &place, sim_file_make(disk, true, 0755));
    return 0;
}

int32_t sim_disk_write_file(sim_disk *disk, const char *path, const void *data, uint64_t bytes) {
    sim_place place;
    int32_t result = way_make(disk, path, &place);
    if (result < 0)
        return result;
    if (place.slashed || (place.file && place.file->is_directory))
        return -EISDIR;
    if (!place.file)
        place.file = sim_file_make(disk, false, 0644);
    name_make(disk, &place, place.file);
    sim_file_truncate(disk, place.file);
    for (uint64_t at = 0; at < bytes;) {
        uint64_t left = bytes - at;
        uint32_t piece = left < SIM_WRITE_MAX ? (uint32_t)left : SIM_WRITE_MAX;
        sim_file_write(disk, place.file, at, (const uint8_t *)data + at, piece);
        at += piece;
    }
    sim_file_sync(place.file);
    return 0;
}

int64_t sim_disk_read_file(const sim_disk *disk, const char *path, void *buffer, uint64_t bytes) {
    sim_place place;
    int32_t result = sim_place_find(disk, path, &place);
    if (result < 0)
        return result;
    if (!place.file)
        return -ENOENT;
    if (place.file->is_directory)
        return -EISDIR;
    sim_bytes_read(&place.file->seen, 0, buffer, bytes);
    return (int64_t)place.file->seen.bytes;
}

const char *sim_disk_list(const sim_disk *disk, const char *directory, uint32_t index) {
    sim_place place;
    if (sim_place_find(disk, directory, &place) < 0 || !place.file)
        return NULL;
    uint32_t at = sim_names_lower(&disk->seen, place.file, "") + index;
    if (at >= disk->seen.count || disk->seen.rows[at].directory != place.file)
        return NULL;
    return disk->seen.rows[at].name;
}

uint32_t sim_disk_open_fds(const sim_disk *disk) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < disk->opened_count; i++)
        count += disk->opened[i].file != NULL;
    return count;
}

const sim_disk_counts *sim_disk_count(const sim_disk *disk) {
    return &disk->counts;
}

uint64_t sim_disk_hash(const sim_disk *disk) {
    uint64_t hash = disk->seen.count;
    for (uint32_t i = 0; i < disk->seen.count; i++) {
        const sim_name *row = &disk->seen.rows[i];
        hash = sim_mix(hash, (uint64_t)row->directory->number << 32 | row->file->number);
        hash = sim_mix(hash, sim_hash_bytes(row->name, strlen(row->name)));
        hash = sim_mix(hash, sim_bytes_hash(&row->file->seen));
    }
    return hash;
}

static uint32_t names_count(const sim_names *names, const sim_file *file) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < names->count; i++) {
        TINA_ASSERT(names->rows[i].directory->is_directory);
        count += names->rows[i].file == file;
        count += names->rows[i].directory == file;
    }
    return count;
}

static uint32_t references_count(const sim_disk *disk, const sim_file *file) {
    uint32_t count = file == disk->root;
    count += names_count(&disk->seen, file);
    count += names_count(&disk->medium, file);
    for (uint32_t i = 0; i < disk->opened_count; i++)
        count += disk->opened[i].file == file;
    for (uint32_t i = 0; i < disk->change_count; i++) {
        count += disk->changes[i].file == file;
        count += disk->changes[i].from_directory == file;
        count += disk->changes[i].to_directory == file;
    }
    return count;
}

static void names_check(const sim_names *names) {
    for (uint32_t i = 0; i < names->count; i++) {
        const sim_name *row = &names->rows[i];
        TINA_ASSERT(sim_names_find(names, row->directory, row->name) == row);
        for (uint32_t other = 0; other < i; other++)
            TINA_ASSERT(names->rows[other].file != row->file);
    }
}

// A directory is where its parent has it, and above all is the root.
static void tree_check(const sim_disk *disk) {
    for (uint32_t i = 0; i < disk->seen.count; i++) {
        const sim_name *row = &disk->seen.rows[i];
        TINA_ASSERT(!row->file->is_directory || row->file->parent == row->directory);
        const sim_file *at = row->directory;
        for (uint32_t steps = 0; at != disk->root; steps++, at = at->parent)
            TINA_ASSERT(steps < disk->numbers);
    }
}

void sim_disk_check(const sim_disk *disk) {
    uint64_t pages = 0;
    names_check(&disk->seen);
    names_check(&disk->medium);
    tree_check(disk);
    for (const sim_file *file = disk->first; file; file = file->next) {
        TINA_ASSERT(file->references == references_count(disk, file));
        TINA_ASSERT(!file->cut);
        TINA_ASSERT(file->medium.bytes <= file->seen.bytes || file->unsynced_count > 0);
        TINA_ASSERT(!file->is_directory || file->unsynced_count == 0);
        pages += file->users ? file->seen.page_count : 0;
    }
    TINA_ASSERT(disk->pages == pages);
}
