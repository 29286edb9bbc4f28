// SPDX-License-Identifier: Apache-2.0
//
// Ops on paths, as Linux answers them.

#include <errno.h>
#include <string.h>

#include "core/assert.h"
#include "sim/disk_state.h"

static int32_t file_create(sim_disk *disk, sim_place *place, uint32_t permissions) {
    if (place->slashed)
        return -EISDIR;
    if (sim_disk_is_full(disk))
        return sim_disk_full_answer(disk);
    place->file = sim_file_make(disk, false, permissions);
    sim_change_make(disk, &(sim_change){
                              .to_directory = place->directory,
                              .to = place->name,
                              .file = place->file,
                          });
    return 0;
}

// What is there, in the order of Linux's do_open.
static int32_t open_check(const sim_file *file, uint32_t how) {
    if ((how & TINA_OPEN_CREATE) && (how & TINA_OPEN_EXCLUSIVE))
        return -EEXIST;
    if ((how & TINA_OPEN_CREATE) && file->is_directory)
        return -EISDIR;
    if ((how & TINA_OPEN_DIRECTORY) && !file->is_directory)
        return -ENOTDIR;
    return file->is_directory && (how & (TINA_OPEN_WRITE | TINA_OPEN_TRUNCATE)) ? -EISDIR : 0;
}

static int32_t open_do(sim_disk *disk, const tina_backend_op *op) {
    if ((op->how & TINA_OPEN_CREATE) && (op->how & TINA_OPEN_DIRECTORY))
        return -EINVAL;
    sim_place place;
    int32_t result = sim_place_find(disk, op->data, &place);
    if (result < 0)
        return result;
    if (place.file)
        result = open_check(place.file, op->how);
    else
        result = op->how & TINA_OPEN_CREATE ? file_create(disk, &place, op->bytes) : -ENOENT;
    if (result < 0)
        return result;
    TINA_ASSERT(place.file != NULL);
    result = sim_opened_take(disk, place.file, op->how);
    if (result >= 0 && (op->how & TINA_OPEN_TRUNCATE) && place.file->seen.bytes > 0)
        sim_file_truncate(disk, place.file);
    return result;
}

int32_t sim_stat_do(const sim_file *file, tina_file_stat *stat) {
    *stat = (tina_file_stat){
        .bytes = file->is_directory ? SIM_PAGE_BYTES : file->seen.bytes,
        .modified_ns = file->modified_ns,
        .device = 1,
        .inode = file->number,
        .kind = file->is_directory ? TINA_FILE_DIRECTORY : TINA_FILE_REGULAR,
        .permissions = file->permissions,
    };
    return 0;
}

static int32_t stat_path_do(const sim_disk *disk, const char *path, tina_file_stat *stat) {
    sim_place place;
    int32_t result = sim_place_find(disk, path, &place);
    if (result < 0)
        return result;
    return place.file ? sim_stat_do(place.file, stat) : -ENOENT;
}

static bool is_within(const sim_file *directory, const sim_file *above) {
    for (; directory != above; directory = directory->parent)
        if (directory == directory->parent)
            return false;
    return true;
}

// In the order of Linux's do_renameat2 and vfs_rename.
static int32_t rename_check(const sim_disk *disk, const sim_place *from, const sim_place *to) {
    if (!from->named || !to->named)
        return -EBUSY;
    if (!from->file)
        return -ENOENT;
    bool moves_directory = from->file->is_directory;
    if (!moves_directory && (from->slashed || to->slashed))
        return -ENOTDIR;
    if (moves_directory && is_within(to->directory, from->file))
        return -EINVAL;
    if (!to->file || to->file == from->file)
        return 0;
    if (to->file->is_directory && is_within(from->directory, to->file))
        return -ENOTEMPTY;
    if (moves_directory != to->file->is_directory)
        return moves_directory ? -ENOTDIR : -EISDIR;
    return moves_directory && sim_names_any(&disk->seen, to->file) ? -ENOTEMPTY : 0;
}

static int32_t rename_do(sim_disk *disk, const char *path) {
    sim_place from = {0};
    sim_place to = {0};
    int32_t result = sim_place_find(disk, path, &from);
    if (result == 0)
        result = sim_place_find(disk, path + strlen(path) + 1, &to);
    if (result < 0)
        return result;
    result = rename_check(disk, &from, &to);
    if (result < 0 || from.file == to.file)
        return result;
    sim_change_make(disk, &(sim_change){
                              .from_directory = from.directory,
                              .from = from.name,
                              .to_directory = to.directory,
                              .to = to.name,
                              .file = from.file,
                              .ordered = from.file->is_directory,
                          });
    return 0;
}

static int32_t unlink_do(sim_disk *disk, const char *path) {
    sim_place place;
    int32_t result = sim_place_find(disk, path, &place);
    if (result < 0)
        return result;
    if (!place.file)
        return -ENOENT;
    if (place.file->is_directory)
        return -EISDIR;
    sim_change_make(disk, &(sim_change){
                              .from_directory = place.directory,
                              .from = place.name,
                              .file = place.file,
                          });
    return 0;
}

int32_t sim_path_op_do(sim_disk *disk, const tina_backend_op *op, tina_file_stat *stat) {
    switch (op->kind) {
    case TINA_OP_OPEN:
        return open_do(disk, op);
    case TINA_OP_STAT:
        return stat_path_do(disk, op->data, stat);
    case TINA_OP_RENAME:
        return rename_do(disk, op->data);
    case TINA_OP_UNLINK:
        return unlink_do(disk, op->data);
    default:
        tina_assert_failed("an op that is none of a path", __FILE__, __LINE__);
    }
}
