// SPDX-License-Identifier: Apache-2.0

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "sim/disk_state.h"

static bool name_is_before(const sim_name *row, const sim_file *directory, const char *name) {
    if (row->directory != directory)
        return row->directory->number < directory->number;
    return strcmp(row->name, name) < 0;
}

uint32_t sim_names_lower(const sim_names *names, const sim_file *directory, const char *name) {
    uint32_t from = 0;
    uint32_t to = names->count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (name_is_before(&names->rows[middle], directory, name))
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

sim_name *sim_names_find(const sim_names *names, const sim_file *directory, const char *name) {
    TINA_ASSERT(name != NULL);
    uint32_t at = sim_names_lower(names, directory, name);
    if (at == names->count || names->rows[at].directory != directory ||
        strcmp(names->rows[at].name, name) != 0)
        return NULL;
    return &names->rows[at];
}

bool sim_names_any(const sim_names *names, const sim_file *directory) {
    uint32_t at = sim_names_lower(names, directory, "");
    return at < names->count && names->rows[at].directory == directory;
}

static char *text_copy(const char *text) {
    TINA_ASSERT(text != NULL);
    size_t bytes = strlen(text) + 1;
    char *copy = malloc(bytes);
    TINA_ASSERT(copy != NULL);
    memcpy(copy, text, bytes);
    return copy;
}

// What is seen is in use, what the medium has is only kept.
static void name_hold(sim_disk *disk, const sim_names *names, sim_file *file) {
    if (names == &disk->seen)
        sim_file_use(disk, file);
    else
        sim_file_hold(file);
}

static void name_drop(sim_disk *disk, const sim_names *names, sim_file *file) {
    if (names == &disk->seen)
        sim_file_leave(disk, file);
    else
        sim_file_drop(disk, file);
}

static void name_set(sim_disk *disk, sim_names *names, sim_file *directory, const char *name,
                     sim_file *file) {
    sim_name *there = sim_names_find(names, directory, name);
    name_hold(disk, names, file);
    if (there) {
        name_drop(disk, names, there->file);
        there->file = file;
        return;
    }
    if (names->count == names->capacity) {
        names->capacity = names->capacity ? 2 * names->capacity : 64;
        names->rows = realloc(names->rows, names->capacity * sizeof *names->rows);
        TINA_ASSERT(names->rows != NULL);
    }
    uint32_t at = sim_names_lower(names, directory, name);
    memmove(&names->rows[at + 1], &names->rows[at], (names->count++ - at) * sizeof *names->rows);
    names->rows[at] = (sim_name){directory, text_copy(name), file};
    sim_file_hold(directory);
}

static void name_free(sim_disk *disk, const sim_names *names, const sim_name *row) {
    free(row->name);
    name_drop(disk, names, row->file);
    sim_file_drop(disk, row->directory);
}

static void name_remove(sim_disk *disk, sim_names *names, const sim_file *directory,
                        const char *name) {
    sim_name *there = sim_names_find(names, directory, name);
    if (!there)
        return; // it never came to the medium
    sim_name gone = *there;
    uint32_t at = (uint32_t)(there - names->rows);
    memmove(there, there + 1, (--names->count - at) * sizeof *names->rows);
    name_free(disk, names, &gone);
}

void sim_names_clear(sim_disk *disk, sim_names *names) {
    for (uint32_t i = 0; i < names->count; i++)
        name_free(disk, names, &names->rows[i]);
    names->count = 0;
}

static void change_apply(sim_disk *disk, sim_names *names, const sim_change *change) {
    if (change->from_directory)
        name_remove(disk, names, change->from_directory, change->from);
    if (change->to_directory)
        name_set(disk, names, change->to_directory, change->to, change->file);
}

static void change_free(sim_disk *disk, sim_change *change) {
    free(change->from);
    free(change->to);
    if (change->from_directory)
        sim_file_drop(disk, change->from_directory);
    if (change->to_directory)
        sim_file_drop(disk, change->to_directory);
    sim_file_drop(disk, change->file);
}

static void directory_touch(sim_disk *disk, sim_file *directory) {
    if (!directory)
        return;
    sim_file_hold(directory);
    directory->modified_ns = disk->world->now_ns;
}

void sim_change_make(sim_disk *disk, const sim_change *change) {
    TINA_ASSERT(change->from_directory || change->to_directory);
    if (disk->change_count == disk->change_capacity) {
        disk->change_capacity = disk->change_capacity ? 2 * disk->change_capacity : 64;
        disk->changes = realloc(disk->changes, disk->change_capacity * sizeof *disk->changes);
        TINA_ASSERT(disk->changes != NULL);
    }
    sim_change *kept = &disk->changes[disk->change_count++];
    *kept = *change;
    kept->from = change->from_directory ? text_copy(change->from) : NULL;
    kept->to = change->to_directory ? text_copy(change->to) : NULL;
    sim_file_hold(kept->file);
    directory_touch(disk, kept->from_directory);
    directory_touch(disk, kept->to_directory);
    change_apply(disk, &disk->seen, kept);
    if (kept->to_directory && kept->file->is_directory)
        kept->file->parent = kept->to_directory;
}

static bool is_cut(const sim_change *change) {
    return (change->from_directory && change->from_directory->cut) ||
           (change->to_directory && change->to_directory->cut);
}

static void change_cut(sim_change *change) {
    if (change->from_directory)
        change->from_directory->cut = true;
    if (change->to_directory)
        change->to_directory->cut = true;
}

static void cuts_clear(sim_disk *disk) {
    for (sim_file *file = disk->first; file; file = file->next)
        file->cut = false;
}

// With a change go those before it in its directories, or a file might have two names. Backwards,
// so that a directory that joins brings only what came before the change that joined it.
void sim_changes_commit(sim_disk *disk, sim_file *directory) {
    bool *wanted = calloc(disk->change_count + 1, sizeof *wanted);
    TINA_ASSERT(wanted != NULL);
    bool all = false;
    directory->cut = true;
    for (uint32_t i = disk->change_count; i-- > 0;) {
        sim_change *change = &disk->changes[i];
        wanted[i] = all || is_cut(change);
        if (!wanted[i])
            continue;
        change_cut(change);
        all = all || change->ordered;
    }
    cuts_clear(disk);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < disk->change_count; i++) {
        if (wanted[i]) {
            change_apply(disk, &disk->medium, &disk->changes[i]);
            change_free(disk, &disk->changes[i]);
        } else {
            disk->changes[kept++] = disk->changes[i];
        }
    }
    disk->change_count = kept;
    free(wanted);
}

static void changes_settle(sim_disk *disk) {
    sim_world *world = disk->world;
    bool any_cut = false;
    for (uint32_t i = 0; i < disk->change_count; i++) {
        sim_change *change = &disk->changes[i];
        bool struck = sim_strikes(world, &change->file->stream, world->settings.disk_torn_ppm);
        if (struck || is_cut(change) || (change->ordered && any_cut)) {
            change_cut(change);
            any_cut = true;
            disk->counts.names_lost++;
        } else {
            change_apply(disk, &disk->medium, change);
            disk->counts.names_kept++;
        }
    }
}

void sim_changes_clear(sim_disk *disk) {
    for (uint32_t i = 0; i < disk->change_count; i++)
        change_free(disk, &disk->changes[i]);
    disk->change_count = 0;
}

void sim_changes_crash(sim_disk *disk) {
    changes_settle(disk);
    cuts_clear(disk);
    sim_names_clear(disk, &disk->seen);
    sim_changes_clear(disk);
    for (uint32_t i = 0; i < disk->medium.count; i++) {
        const sim_name *row = &disk->medium.rows[i];
        name_set(disk, &disk->seen, row->directory, row->name, row->file);
        row->file->parent = row->file->is_directory ? row->directory : NULL;
    }
}

// One component: what is at place->file must be a directory.
static int32_t place_step(const sim_disk *disk, sim_place *place, const char *name, size_t bytes) {
    if (!place->file)
        return -ENOENT;
    if (!place->file->is_directory)
        return -ENOTDIR;
    if (bytes > SIM_NAME_BYTES_MAX)
        return -ENAMETOOLONG;
    place->named = false;
    if (bytes == 1 && name[0] == '.')
        return 0;
    if (bytes == 2 && name[0] == '.' && name[1] == '.') {
        place->file = place->file->parent;
        return 0;
    }
    place->named = true;
    place->directory = place->file;
    memcpy(place->name, name, bytes);
    place->name[bytes] = '\0';
    const sim_name *row = sim_names_find(&disk->seen, place->directory, place->name);
    place->file = row ? row->file : NULL;
    return 0;
}

int32_t sim_place_find(const sim_disk *disk, const char *path, sim_place *place) {
    *place = (sim_place){.file = disk->root};
    if (!path[0])
        return -ENOENT;
    if (strlen(path) > TINA_PATH_BYTES_MAX)
        return -ENAMETOOLONG;
    for (;;) {
        size_t slashes = strspn(path, "/");
        path += slashes;
        place->slashed = slashes > 0;
        if (!path[0])
            return place->slashed && place->file && !place->file->is_directory ? -ENOTDIR : 0;
        size_t bytes = strcspn(path, "/");
        int32_t result = place_step(disk, place, path, bytes);
        if (result < 0)
            return result;
        path += bytes;
    }
}
